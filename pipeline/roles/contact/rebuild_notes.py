"""What is remembered of customers, their numbers and cards, made again from conversations that were told again: whom what
reached when, which question a number was last asked, what customers told us for good, what a YES allows; and what each
is still to be told.

The same events leave the same notes as in `permission`. A record names two digits of an address's digest; which of a
customer's addresses that is, the `customers` topic says, as far as it still has the record of that time.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from pipeline.core import agenda, contact_history, wishes
from pipeline.core.contact_facts import moment_ms
from pipeline.core.contact_history import KEEP_MS, NOTHING, Entry, Kind, noted
from pipeline.core.contacting import Call
from pipeline.core.conversation import Answered, Attempt, Claimed, Conversation, Ended, attempt_key
from pipeline.core.exemption import Exemption, read_exemptions, with_exemptions
from pipeline.core.questions import after_question
from pipeline.core.reach import came_to
from pipeline.core.rebuild import Remade
from pipeline.core.rebuild_events import LOST
from pipeline.core.records import CardCommand, Customer, CustomerEvent
from pipeline.ports_contact import Note, card_note
from pipeline.roles.contact.directory import agenda_note, customer_note, number_note, question_note, wishes_note
from pipeline.roles.contact.ledger import PHONES, Ledger, Wish
from pipeline.roles.contact.permission import attempt_of

_customer = msgspec.json.Decoder(Customer)


class Directory:
    """Customers by name, as the topic tells of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._entries = ledger.customers
        self._addresses = ledger.addresses

    def has(self, name: str | None) -> bool:
        """Whether this customer is in the directory today."""
        entry = self._entries.get(name) if name is not None else None
        return entry is not None and entry.record is not None

    def prefers(self, name: str) -> str:
        """The channel that a customer prefers today, if any."""
        entry = self._entries.get(name)
        return (_customer.decode(entry.record).preferred_channel or "") if entry and entry.record else ""

    def digest(self, name: str | None, channel: str, told: str | None) -> str:
        """The digest of the address that a record tells the beginning of; `LOST` where it can't be only one: then it is
        nobody's, and a YES from there releases nothing."""
        found = self._addresses.get(name or "", {}).get(PHONES if channel in ("voice", "sms") else channel, ())
        alike = [digest for digest in found if digest.startswith(told or "")]
        return alike[0] if len(alike) == 1 else LOST

    def addressed(self, conversation: Conversation) -> Conversation:
        """The conversation with its attempts' addresses in full."""
        attempts = [
            replace(attempt, address=self.digest(conversation.customer, attempt.channel, attempt.address))
            for attempt in conversation.attempts
        ]
        return replace(conversation, attempts=tuple(attempts))


def notes(
    remade: Iterable[Remade],
    wished: Sequence[Wish],
    events: Sequence[CustomerEvent],
    directory: Directory,
    exempt_s: float,
    now_ms: int,
) -> Iterator[Note]:
    """Each note as it has to be now, from nothing."""
    histories: dict[str, contact_history.History] = {}
    questions: dict[str, bytes] = {}
    allowed: dict[str, bytes] = {}
    for one in sorted(remade, key=lambda one: one.at_ms):
        for note, entry in _reached(one, directory):
            histories[note] = noted(histories.get(note, NOTHING), entry)
        if (asked := _asked_by_text(one, directory)) is not None:
            key = attempt_key(one.after.id, one.after.attempt)
            before, customer = questions.get(asked, b""), one.after.customer or ""
            questions[asked] = after_question(before, customer, key, one.at_ms, one.after.class_)
        _allow(allowed, one)
    yield from (Note(key, b"", contact_history.encode(told), KEEP_MS) for key, told in histories.items())
    yield from (Note(key, b"", told, KEEP_MS) for key, told in questions.items())
    yield from (Note(key, b"", told, None) for key, told in _wishes(wished, events, directory).items() if told)
    for key, told in allowed.items():
        left = with_exemptions(told, (), now_ms)
        if read_exemptions(left):
            yield Note(key, b"", left, round(exempt_s * 1000))


def agendas(conversations: Iterable[Conversation], directory: Directory, now_ms: int) -> Iterator[Note]:
    """What each customer is still to be told."""
    found: dict[str, bytes] = {}
    for each in conversations:
        if agenda.kept_for(each) and directory.has(each.customer):
            key = agenda_note(each.customer or "")
            found[key] = agenda.after(found.get(key, b""), each, now_ms)
    yield from (Note(key, b"", told, KEEP_MS) for key, told in found.items() if told)


def _reached(one: Remade, directory: Directory) -> Iterator[tuple[str, Entry]]:
    """What a transition adds to the histories of the customer and the number."""
    after, event = one.after, one.event
    attempt: Attempt | None = None
    kind: Kind | None = None
    if isinstance(event, Claimed) and any(isinstance(effect, Call) for effect in one.effects):
        attempt = after.attempts[-1]
        kind = "dial" if attempt.channel == "voice" else "message"
    elif isinstance(event, Answered | Ended):
        attempt = attempt_of(after, event.attempt)
        kind = None if attempt is None else came_to(event, attempt.channel)
    if attempt is None or kind is None or after.customer is None:
        return
    entry = Entry(one.at_ms, after.class_, attempt.channel, after.id, kind)
    if directory.has(after.customer):
        yield customer_note(after.customer), entry
    digest = directory.digest(after.customer, attempt.channel, attempt.address)
    if digest != LOST and attempt.channel in ("voice", "sms"):
        yield number_note(digest), entry


def _asked_by_text(one: Remade, directory: Directory) -> str | None:
    """The note on the number that a text message was sent to."""
    if not isinstance(one.event, Claimed) or one.after.state != "sending" or one.after.attempts[-1].channel != "sms":
        return None
    digest = directory.digest(one.after.customer, "sms", one.after.attempts[-1].address)
    return None if digest == LOST else question_note(digest)


def _allow(allowed: dict[str, bytes], one: Remade) -> None:
    """What a transition allows on its card, or no longer."""
    key = card_note(one.after.card)
    commands = [effect for effect in one.effects if isinstance(effect, CardCommand)]
    if any(command.command == "block" or command.reason == "no_after_yes" for command in commands):
        allowed.pop(key, None)
    elif more := [effect for effect in one.effects if isinstance(effect, Exemption)]:
        allowed[key] = with_exemptions(allowed.get(key, b""), more, one.at_ms)


def _wishes(wished: Sequence[Wish], events: Sequence[CustomerEvent], directory: Directory) -> dict[str, bytes]:
    told: dict[str, wishes.Wishes] = {}
    for wish in wished:
        if directory.has(wish.customer):
            key = wishes_note(wish.customer)
            address = directory.digest(wish.customer, wish.channel, wish.to) if wish.to else LOST
            known = None if address == LOST else address
            told[key] = wishes.after_answer(told.get(key, wishes.NONE), wish.word, wish.class_, known)
    for event in events:
        at_ms = moment_ms(event.time)
        if directory.has(event.customer) and at_ms is not None:
            key = wishes_note(event.customer)
            told[key] = wishes.after_event(told.get(key, wishes.NONE), event.type, at_ms)
    return {key: wishes.encode(each) for key, each in told.items()}
