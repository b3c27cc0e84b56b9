"""What the topics tell about the contact store: read whole into memory, record by record, to make a lost store again.

Of `contacts` and of what left together with it, every record of the time looked at is kept, some kilobytes each; of
`decisions` those that asked for something. From before that time only customers' wishes are taken.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from pipeline.core.account_alerts import SUBJECT
from pipeline.core.contact_facts import moment_ms, ways_to
from pipeline.core.conversation import Alert, Reversed, contact_id, contact_of_release
from pipeline.core.matters import named_in
from pipeline.core.rebuild import Told, Transition
from pipeline.core.rebuild_events import Published
from pipeline.core.records import (
    Answer,
    AnswerWord,
    CardCommand,
    CardCommandResult,
    ContactRequest,
    ContactStep,
    Customer,
    CustomerEvent,
    Label,
)
from pipeline.core.requests import BadRequest, contact_of, read_request, worth_ms
from pipeline.core.topics import (
    ANSWERS,
    CARD_COMMAND_RESULTS,
    CARD_COMMANDS,
    CONTACT_REQUESTS,
    CONTACTS,
    CUSTOMER_EVENTS,
    CUSTOMERS,
    DECISIONS,
    LABELS,
    Topic,
)
from pipeline.core.wishes import DOUBTFUL
from pipeline.ports import Record, WholeReader
from pipeline.ports_contact import DirectoryEntry, ReadUpTo
from pipeline.roles.contact.digests import Digests
from pipeline.roles.contact.directory import NoCustomer, read_entry
from pipeline.roles.contact.intake import alert_of, sift
from pipeline.roles.contact.outbox import HEADER_RECORD_ID, HEADER_WRITER, WRITER

LATEST_MS = 4_102_444_800_000
"""The year 2100: a record that names a later time is not believed."""
RECENT_MS = 86_400_000
"""How long before the newest step a record may have failed to leave. What is missing from before was deleted."""
LONGEST_MS = 7 * 86_400_000
"""No conversation about a card lasts longer, nor does one that tells something once it may be told: of one that ended in
the time looked at, all is known that is on record."""
POLL_S = 0.5
TOLD_BY = (
    CUSTOMERS, CUSTOMER_EVENTS, CARD_COMMANDS, LABELS, ANSWERS, CARD_COMMAND_RESULTS, CONTACT_REQUESTS, CONTACTS, DECISIONS,
)  # fmt: skip
"""The topics that tell of contacts."""
PHONES = "voice"
"""Under this channel are all telephone numbers, of calls and text messages alike: a number may change its kind."""
WISHES = frozenset({"stop", "wrong_person", "hardship"})
_record = TypeVar("_record")
_customer = msgspec.json.Decoder(Customer)
_event = msgspec.json.Decoder(CustomerEvent)
_step = msgspec.json.Decoder(ContactStep)
_command = msgspec.json.Decoder(CardCommand)
_label = msgspec.json.Decoder(Label)
_answer = msgspec.json.Decoder(Answer)
_result = msgspec.json.Decoder(CardCommandResult)


class Asks(NamedTuple):
    """A decision that asks for a contact or a command. ``at``: its own place in its partition; ``tells``: the customer is
    to be told, not asked."""

    card: str
    customer: str | None
    alert: Alert
    source_ms: int
    at: ReadUpTo
    tells: bool


class Said(NamedTuple):
    """A request as it was made, or made again: when it was logged, and where."""

    request: ContactRequest
    at_ms: int
    partition: int
    offset: int


class Wish(NamedTuple):
    """What a customer said that counts for good, in a contact of ``class_``. ``to``: what is known of the number it was
    said at."""

    customer: str
    word: AnswerWord
    channel: str
    to: str | None
    class_: str


class Given(NamedTuple):
    """A command on its topic: of which conversation and version, when."""

    contact: str
    version: int
    at_ms: int


class Ledger:
    """``since_ms``: how far back conversations are looked at."""

    def __init__(self, since_ms: int, digests: Digests) -> None:
        self.since_ms = since_ms
        self._digests = digests
        self.customers: dict[str, DirectoryEntry] = {}
        self.addresses: dict[str, dict[str, tuple[str, ...]]] = {}
        self.requests: dict[str, list[Said]] = {}
        self.wishes: list[Wish] = []
        self.events: list[CustomerEvent] = []
        self.reversals: dict[str, list[Reversed]] = {}
        self.asks: dict[int, list[Asks]] = {}
        self.positions: dict[int, ReadUpTo] = {}
        self.by_contact: dict[str, Asks] = {}
        self.alerts: dict[str, dict[str, Alert]] = {}
        self.customer_of: dict[str, str] = {}
        self.card_of: dict[str, str] = {}
        self.commands: dict[str, list[Given]] = {}
        self.numbers: dict[str, int] = {}
        self.answers: dict[str, list[Answer]] = {}
        self.results: dict[str, list[CardCommandResult]] = {}
        self.newest_ms = 0
        self.unreadable = 0
        self._told: dict[str, dict[int, dict[int, Told]]] = {}
        self.cut_off: set[int] = set()
        self._first_ms: dict[int, int] = {}
        self._older: set[str] = set()
        self._waits_long: set[str] = set()
        self._newest_step_ms: dict[str, int] = {}

    @property
    def whole_from_ms(self) -> int:
        """From when on all of `contacts` is there. ``cut_off``: its partitions whose beginning Kafka has deleted."""
        firsts = [self._first_ms.get(number, self.newest_ms or LATEST_MS) for number in self.cut_off]
        return max(firsts, default=0)

    @property
    def conversations(self) -> int:
        return sum(1 for _ in self.contacts_told())

    def contacts_told(self) -> Iterator[tuple[str, Sequence[Transition]]]:
        """Every conversation of the time looked at with its transitions, in the order in which they were made. Where no
        step tells of it, or none that young, records of it make no conversation: its steps were deleted before them, or
        they were late. But the youngest records may be of a conversation whose first step never left."""
        for contact, versions in self._told.items():
            newest_ms = self._newest_step_ms.get(contact)
            if newest_ms is None and contact not in self._older:
                newest_ms = max(told.at_ms for each in versions.values() for told in each.values())
                from_ms = max(self.newest_ms - RECENT_MS, self.whole_from_ms)
            else:
                from_ms = self.since_ms
            if (newest_ms or 0) >= from_ms or contact in self._waits_long:
                yield contact, [Transition(version, _dated(told)) for version, told in sorted(versions.items())]

    def all_contacts(self) -> frozenset[str]:
        """Every conversation that a record was found of, however old."""
        return frozenset(self._told) | self._older

    def published(self, contact: str, version: int) -> frozenset[int]:
        """The places whose records are on their topics."""
        return frozenset(self._told.get(contact, {}).get(version, ()))

    # --- topic by topic

    def customer(self, record: Record) -> None:
        """The newest record counts; addresses of older ones are known by their digests, for what was sent there."""
        try:
            entry = read_entry(record, self._digests)
        except NoCustomer:
            self.unreadable += 1
            return
        self.customers[entry.customer] = entry
        if entry.record is not None:
            known = self.addresses.setdefault(entry.customer, {})
            customer = _customer.decode(entry.record)
            for channel in (PHONES, "email", "push", "wechat", "webhook"):
                digests = (self._digests.of(address) for address in ways_to(customer, channel))
                known[channel] = tuple(dict.fromkeys((*known.get(channel, ()), *digests)))

    def customer_event(self, record: Record) -> None:
        event = self._read(record, _event)
        if event is not None and event.type in DOUBTFUL:
            self.events.append(event)

    def decided(self, partition: int, records: Sequence[Record]) -> None:
        """Records of one partition, in order."""
        sifted = sift(records, self.positions.get(partition, ReadUpTo(0, 0)))
        self.positions[partition] = sifted.after
        for decision, source_ms, after in sifted.taken:
            if decision.reverses is not None:  # it asks for nothing; most are of payments nobody was asked about
                if decision.reverses in self.alerts.get(decision.card, {}):
                    taken_back = Reversed(decision.reverses, decision.amount or 0, decision.currency or "")
                    self.reversals.setdefault(decision.card, []).append(taken_back)
                continue
            at = ReadUpTo(after.log_next - 1, after.source_next - 1)
            tells = decision.actions.contact == "notify" and decision.actions.card == "none"
            asks = Asks(decision.card, decision.customer, alert_of(decision), source_ms, at, tells)
            self.asks.setdefault(partition, []).append(asks)
            self.by_contact.setdefault(contact_id(decision.card, decision.id), asks)
            self.alerts.setdefault(decision.card, {}).setdefault(decision.id, asks.alert)

    def request(self, record: Record) -> None:
        """Of what need not be told any more nothing is kept."""
        try:
            request = read_request(record.value)
            until_ms = worth_ms(request, record.timestamp)[1]
        except BadRequest:
            self.unreadable += 1
            return
        contact = contact_of(request.customer, request.id)
        if until_ms >= self.since_ms or contact in self.requests:  # taken back by one that has expired
            said = Said(request, record.timestamp, record.partition, record.offset)
            self.requests.setdefault(contact, []).append(said)

    def _may_wait_long(self, step: ContactStep) -> bool:
        """Whether it is of a request that is worth telling now, however long ago it was planned."""
        asked = (contact_of(step.customer or "", name) for name in named_in(step))
        return step.contact in self.requests or any(contact in self.requests for contact in asked)

    def contact(self, record: Record) -> None:
        self._first_ms.setdefault(record.partition, record.timestamp)
        step = self._read(record, _step)
        if step is None or SUBJECT in step.subject:  # told to the bank's own people: no conversation
            return
        at_ms = _moment(step.time, record.timestamp)
        if step.step == "answered" and step.customer is not None and step.answer in WISHES:
            self.wishes.append(Wish(step.customer, step.answer, step.channel or "", step.to, step.class_))
        if waits := "alert" not in step.subject and self._may_wait_long(step):
            self._waits_long.add(step.contact)
        if at_ms < self.since_ms:
            self._older.add(step.contact)
        if (waits or at_ms >= self.since_ms - LONGEST_MS) and self._tell(record, step, at_ms):
            self._newest_step_ms[step.contact] = max(self._newest_step_ms.get(step.contact, 0), at_ms)
            self.newest_ms = max(self.newest_ms, at_ms)
            if step.customer is not None:
                self.customer_of.setdefault(step.contact, step.customer)

    def command(self, record: Record) -> None:
        command = self._read(record, _command)
        if command is None:
            return
        self.numbers[command.card] = max(self.numbers.get(command.card, 0), command.sequence)
        if (place := self._tell(record, command, record.timestamp)) is not None:
            contact, version, _ = place
            self.card_of.setdefault(contact, command.card)
            self.commands.setdefault(command.card, []).append(Given(contact, version, record.timestamp))

    def label(self, record: Record) -> None:
        label = self._read(record, _label)
        if label is not None and label.source == "cardholder":
            self._tell(record, label, _moment(label.time, record.timestamp))

    def answer(self, record: Record) -> None:
        """Ours belong to their transition; others' may have been taken or not."""
        answer = self._read(record, _answer)
        if answer is None:
            return
        if dict(record.headers).get(HEADER_WRITER) == WRITER:
            self._tell(record, answer, _moment(answer.time, record.timestamp))
        else:
            self.answers.setdefault(answer.contact, []).append(answer)

    def result(self, record: Record) -> None:
        result = self._read(record, _result)
        if result is not None and (contact := contact_of_release(result.id)) is not None:
            self.results.setdefault(contact, []).append(result)

    def _read(self, record: Record, decoder: "msgspec.json.Decoder[_record]") -> _record | None:
        try:
            return decoder.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return None

    def _tell(self, record: Record, told: Published, at_ms: int) -> tuple[str, int, int] | None:
        """Put the record where it belongs; the first of an id counts. None: it is none of a conversation's."""
        place = _place(dict(record.headers).get(HEADER_RECORD_ID, b""))
        if place is not None:
            contact, version, number = place
            self._told.setdefault(contact, {}).setdefault(version, {}).setdefault(number, Told(told, at_ms))
        return place


def _place(record_id: bytes) -> tuple[str, int, int] | None:
    """Conversation, version and place among the effects, of a record's id."""
    parts = record_id.decode("utf-8", "replace").split(":")
    if len(parts) != 3 or not parts[0].startswith("ct_") or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return parts[0], int(parts[1]), int(parts[2])


def _moment(text: str, otherwise_ms: int) -> int:
    at_ms = moment_ms(text)
    return otherwise_ms if at_ms is None or not 0 <= at_ms <= LATEST_MS else at_ms


def _dated(told: dict[int, Told]) -> dict[int, Told]:
    """In order, all at the time of their transition: a command does not say it, the records beside it do."""
    at_ms = next((each.at_ms for each in told.values() if not isinstance(each.record, CardCommand)), None)
    return {number: each if at_ms is None else each._replace(at_ms=at_ms) for number, each in sorted(told.items())}


Take = Callable[[int, Sequence[Record]], None]
"""A partition and its next records."""
Progress = Callable[[Topic, int, int], None]
"""A topic, how many of its records are read, of how many."""


async def read_whole(reader: WholeReader, take: Take, progress: Progress, topic: Topic) -> dict[int, int]:
    """Hand everything that is in the reader's topic now to ``take``; answer where each partition began."""
    try:
        await reader.start()
        ends, beginnings = await reader.ends(), await reader.places()
        every = sum(max(0, end - beginnings[number]) for number, end in ends.items())
        while True:
            places = await reader.places()
            left = sum(max(0, end - places[number]) for number, end in ends.items())
            progress(topic, every - left, every)
            if not left:
                return beginnings
            for number, records in (await reader.poll(POLL_S)).items():
                take(number, records)
    finally:
        await reader.stop()


async def read_everything(ledger: Ledger, reader_of: Callable[[Topic], WholeReader], progress: Progress) -> None:
    """Read every topic that tells of contacts. `customers`, `contact-requests` and `contacts` have to be read from their
    beginnings."""

    def each(take: Callable[[Record], None]) -> Take:
        def take_all(_: int, records: Sequence[Record]) -> None:
            for record in records:
                take(record)

        return take_all

    for topic, take in (
        (CUSTOMERS, ledger.customer),
        (CUSTOMER_EVENTS, ledger.customer_event),
        (CARD_COMMANDS, ledger.command),
        (LABELS, ledger.label),
        (ANSWERS, ledger.answer),
        (CARD_COMMAND_RESULTS, ledger.result),
        (CONTACT_REQUESTS, ledger.request),
    ):
        await read_whole(reader_of(topic), each(take), progress, topic)
    beginnings = await read_whole(reader_of(CONTACTS), each(ledger.contact), progress, CONTACTS)
    ledger.cut_off = {number for number, beginning in beginnings.items() if beginning > 0}
    await read_whole(reader_of(DECISIONS), ledger.decided, progress, DECISIONS)
