"""Text messages from customers: which question each one answers, and a STOP that is to all of them, and counts without any."""

from collections.abc import Awaitable, Callable

from pipeline.core import wishes
from pipeline.core.contact_history import KEEP_MS
from pipeline.core.conversation import CALL_CLASS, OPEN, Answered, Attempt, Event, decode, parse_key
from pipeline.core.questions import Questions, after_message, read_questions
from pipeline.core.replies import meaning_of
from pipeline.ports import ContactStore, Note
from pipeline.roles.contact.conversations import Conversations
from pipeline.roles.contact.directory import address_digest, question_note, wishes_note
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS

Take = Callable[[str, Event], Awaitable[str | None]]


class Replies:
    """Finds the question of a text message, and has the answer taken."""

    def __init__(self, store: ContactStore, conversations: Conversations, metrics: ContactMetrics) -> None:
        self._store = store
        self._conversations = conversations
        self._metrics = metrics

    async def took(self, channel: str, number: str, text: str, message: str, take: Take) -> str:
        """What ``take`` says of the answer in ``text``; "unknown_contact" where nothing was asked of ``number``."""
        note_key = question_note(address_digest(number))
        note = await self._store.note(note_key)
        questions = read_questions(note)
        if questions is None:
            self._metrics.refusal("unknown_contact")
            return "unknown_contact"
        word = meaning_of(text)
        key, clear = await self._question(questions, message)
        outcome = None
        for each in [known for known in questions.asked if word == "stop" and known != key] + [key]:
            contact, attempt = parse_key(each)  # a STOP is to everything that was asked here
            outcome = await take(contact, Answered(word, channel, "sms", attempt, trusted=clear))
        if outcome is None and word == "stop":
            await self._stop(questions.customer)
            outcome = "taken"
        await self._write(Note(note_key, note, after_message(note, message, key), KEEP_MS))
        return outcome or "unknown_contact"

    async def _question(self, questions: Questions, message: str) -> tuple[str, bool]:
        """The attempt that the message answers, and whether it can be no other."""
        if known := questions.question_of(message):
            return known, False
        waiting = [(key, attempt) for key in questions.asked if (attempt := await self._waiting(key)) is not None]
        if len(waiting) > 1:  # of some it is certain that they were sent
            waiting = [(key, attempt) for key, attempt in waiting if attempt.call is not None] or waiting
        return (waiting[-1][0] if waiting else questions.asked[-1]), len(waiting) == 1

    async def _waiting(self, key: str) -> Attempt | None:
        """The attempt of ``key``, if nobody has answered it and its conversation is open."""
        contact, number = parse_key(key)
        kept = await self._store.conversation(contact)
        conversation = decode(kept.value) if kept else None
        if conversation is None or conversation.state not in OPEN or number > conversation.attempt:
            return None
        attempt = conversation.attempts[number - 1]
        return attempt if attempt.heard is None else None

    async def _stop(self, customer: str) -> None:
        """The conversation is long forgotten; the wish is not."""
        key = wishes_note(customer)
        stored = False
        while not stored:
            before = await self._store.note(key)
            after = wishes.encode(wishes.after_answer(wishes.read_wishes(before), "stop", CALL_CLASS, None))
            stored = before == after or await self._write(Note(key, before, after, None))

    async def _write(self, note: Note) -> bool:
        now_ms, keep_ms = self._conversations.now_ms(), self._conversations.keep_ms
        return (await self._store.commit([], now_ms, OUTBOX_LEASE_MS, keep_ms, notes=[note])).outcome == "stored"
