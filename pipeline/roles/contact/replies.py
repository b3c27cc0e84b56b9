"""Text messages from customers: which question each one answers, and a STOP that is to all of them, and counts without any."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from pipeline.core import wishes
from pipeline.core.contact_history import KEEP_MS
from pipeline.core.contact_policy import ContactClass
from pipeline.core.conversation import CALL_CLASS, OPEN, Answered, Attempt, Event, decode, parse_key
from pipeline.core.promise_words import Said
from pipeline.core.questions import Questions, after_message, read_questions
from pipeline.core.records import AnswerWord
from pipeline.core.replies import meaning_of, reply_to
from pipeline.ports_contact import ContactStore, Note
from pipeline.roles.contact.conversations import Conversations
from pipeline.roles.contact.digests import Digests, unkeyed
from pipeline.roles.contact.directory import question_note, wishes_note
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS

Take = Callable[[str, Event], Awaitable[str | None]]


class _Asked(NamedTuple):
    """A question sent by text, its ``place`` in the order of asking; ``open``: its conversation is."""

    key: str
    place: int
    attempt: Attempt
    open: bool

    def competes(self, taken: "_Asked", at_once: bool) -> bool:
        """Whether a text may be to this question rather than to ``taken``: it stands below it on the customer's screen,
        or what was said to it may be said again, or the text came ``at_once`` and was written before ``taken`` came,
        or nobody knows whether ``taken`` was sent. Questions of one conversation do not compete."""
        sent = self.attempt.call is not None or self.attempt.heard is not None
        other = parse_key(self.key)[0] != parse_key(taken.key)[0]
        repeated = self.open and self.attempt.heard is not None
        unsure = at_once or taken.attempt.call is None
        return other and sent and (unsure or repeated or self.place > taken.place)


class Replies:
    """Finds the question of a text message, and has the answer taken."""

    def __init__(
        self, store: ContactStore, conversations: Conversations, metrics: ContactMetrics, digests: Digests
    ) -> None:
        self._store = store
        self._digests = digests
        self._conversations = conversations
        self._metrics = metrics

    async def took(self, channel: str, number: str, text: str, message: str, take: Take) -> str:
        """What ``take`` says of the answer in ``text``; "unknown_contact" where nothing was asked of ``number``."""
        word = meaning_of(text)
        keys = [
            question_note(self._digests.of(number)),
            question_note(unkeyed(number)),
        ]  # an earlier version had no key
        question = await self._taken(keys[0], message, word) or await self._taken(keys[1], message, word)
        if question is None:
            self._metrics.refusal("unknown_contact")
            return "unknown_contact"
        questions, key, clear = question
        outcome = None
        stopped = dict(questions.stopped())
        for each in [known for known in stopped if word == "stop" and known != key] + [key]:
            contact, attempt = parse_key(each)  # a STOP is to everything that was asked here
            said = await self._said(contact, text, word)
            by = None if said.by is None else said.by.isoformat()
            outcome = await take(contact, Answered(said.word, channel, "sms", attempt, trusted=clear, by=by))
        if outcome is None and word == "stop":
            await self._stop(questions.customer, stopped.get(key, CALL_CLASS))
            outcome = "taken"
        return outcome or "unknown_contact"

    async def _said(self, contact: str, text: str, word: AnswerWord) -> Said:
        """What ``text`` means in answer to this contact; ``word``: to any."""
        kept = await self._store.conversation(contact) if word == "none" else None
        if kept is None:
            return Said(word)
        now_ms = self._conversations.now_ms()
        permission = self._conversations.permission
        customer = None if kept.customer is None else permission.customer(kept.customer, kept.notes)
        clock = None if customer is None else permission.by_clock_of(customer, now_ms)
        today = (clock or datetime.fromtimestamp(now_ms / 1000, UTC)).date()
        return reply_to(text, decode(kept.value).class_, today)

    async def _taken(self, note_key: str, message: str, word: AnswerWord) -> tuple[Questions, str, bool] | None:
        """What was asked of a number, the attempt that the message answers, and whether it can be no other. That is noted
        before the answer has any effect: a worker that dies in between must not take it for the next question."""
        while (questions := read_questions(note := await self._store.note(note_key))) is not None:
            if known := questions.taken_for(message):
                return questions, *known
            key, clear = await self._question(questions, word)
            if await self._write(Note(note_key, note, after_message(note, message, key, clear), KEEP_MS)):
                return questions, key, clear
        return None

    async def _question(self, questions: Questions, word: AnswerWord) -> tuple[str, bool]:
        """The attempt that a new message answers, and whether it can be no other."""
        every = [await self._asked(key, place) for place, key in enumerate(questions.asked)]
        asked = [one for one in every if one is not None]
        waiting = [one for one in asked if one.open and one.attempt.heard is None]
        if len(waiting) > 1:  # of some it is certain that they were sent
            waiting = [one for one in waiting if one.attempt.call is not None] or waiting
        if not waiting:
            return questions.answerable(word)[-1], False
        taken = waiting[-1]
        at_once = questions.crossing(self._conversations.now_ms())
        return taken.key, len(waiting) == 1 and not any(one.competes(taken, at_once) for one in asked)

    async def _asked(self, key: str, place: int) -> _Asked | None:
        """The question of ``key``, while it is remembered."""
        contact, number = parse_key(key)
        kept = await self._store.conversation(contact)
        conversation = decode(kept.value) if kept else None
        if conversation is None or number > conversation.attempt:
            return None
        return _Asked(key, place, conversation.attempts[number - 1], conversation.state in OPEN)

    async def _stop(self, customer: str, class_: ContactClass) -> None:
        """The conversation is long forgotten; the wish is not."""
        key = wishes_note(customer)
        stored = False
        while not stored:
            before = await self._store.note(key)
            after = wishes.encode(wishes.after_answer(wishes.read_wishes(before), "stop", class_, None))
            stored = before == after or await self._write(Note(key, before, after, None))

    async def _write(self, note: Note) -> bool:
        now_ms, keep_ms = self._conversations.now_ms(), self._conversations.keep_ms
        return (await self._store.commit([], now_ms, OUTBOX_LEASE_MS, keep_ms, notes=[note])).outcome == "stored"
