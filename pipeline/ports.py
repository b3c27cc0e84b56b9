"""What a role needs from the world, as small protocols. Adapters implement them; tests and `evaluate` use fakes.

A *role* is driven by a Log adapter: it is told which partitions are its own, handed whole polls, and told when a
partition goes. It never sees Kafka, Redis or HTTP.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from pipeline.core.reach import Arm, Tally
from pipeline.core.topics import Outgoing as Outgoing
from pipeline.core.topics import Record as Record
from pipeline.core.topics import Topic

MAX_POLL_RECORDS = 2_000
"""The most records a poll carries, over all its partitions."""


Poll = Mapping[int, Sequence[Record]]
"""Partition number → its records, in offset order without holes."""


class BrokerDown(Exception):
    """The broker was not there, or turned us away, when a program of ours began: a sentence for the operator."""


class Log(Protocol):
    """Where records are appended. Topics are given without the installation's prefix."""

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        """Append each partition's records in order; return when every one is acknowledged by all replicas.
        Raises when one failed for good: the caller must not go on."""

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        """As `append` for several topics in one round trip, where their partitions have the same leader."""

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        """As `append`, each record to the partition of its key (murmur2, as Kafka's own clients choose)."""


class Membership(Protocol):
    """What a role may ask of the group that gave it its partitions."""

    async def proven(self, partition: int) -> bool:
        """True only if the group's coordinator confirms, now, that this member owns ``partition``."""


class PolledRole(Protocol):
    """A role fed by polls of one topic. Calls never overlap, but for `load`, which runs beside the polls of other
    partitions."""

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        """After a rebalance: of ``partitions``, those still warm from this member's previous generation, with the
        offset to read next. The others are loaded."""

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        """Make a partition one's own; answer the offset to read next, None for the log's beginning."""

    async def polled(self, poll: Poll) -> None:
        """Handle one poll. What follows from it may still be on its way to the log when this returns, of one poll at
        most; `revoked` waits for it."""

    def waits(self) -> bool:
        """Whether the poll in hand waits for a store that is away: then nothing is stuck."""

    async def boundary(self) -> Sequence[int]:
        """Between polls. Answers partitions that must be loaded anew (taken away meanwhile)."""

    async def revoked(self, clean: bool) -> None:
        """All partitions go. ``clean`` False: the last poll did not end in time, what it changed must be dropped."""


class Taken(NamedTuple):
    """A partition's place in the store, as found when its owner token was set. ``next_offset`` None: never saved."""

    token: str
    sequence: int
    next_offset: int | None
    previous_token: str | None


Saved = Literal["saved", "already", "refused"]


class StoreDown(Exception):
    """The store does not answer (away, loading, read-only, out of memory): try again later, nothing is lost."""


class ProfileStore(Protocol):
    """Where card rows outlive the process: per partition a set of rows, the next input offset, an owner token and a
    sequence number. Every method may raise `StoreDown`."""

    async def take(self, partition: int, token: str) -> Taken:
        """Become the owner: later saves under another token are refused."""

    def load(self, partition: int) -> AsyncIterator[Mapping[bytes, bytes]]:
        """All rows of a partition but the archived ones, card → row, some thousand at a time."""

    async def position(self, partition: int) -> Taken:
        """Token, sequence and offset as they are now."""

    async def save(
        self, partition: int, token: str, sequence: int, next_offset: int, rows: Mapping[bytes, bytes]
    ) -> Saved:
        """Rows and offset in one atomic step, if ``token`` owns the partition and the stored sequence is
        ``sequence`` − 1. "already": this sequence is stored under this token (an answer was lost on its way)."""

    async def archive(
        self, partition: int, token: str, sequence: int, rows: Mapping[bytes, bytes], marks: bytes
    ) -> bool:
        """Move ``rows``, as they were saved, to where `load` does not read them, and keep ``marks`` for ever: one atomic
        step. At most some hundred. False: refused, because ``token`` does not own the partition, or its stored sequence
        is neither ``sequence`` nor one more."""

    async def marks(self, partition: int) -> bytes:
        """All marks kept, one after the other."""

    async def wake(
        self, partition: int, token: str, sequence: int, cards: Sequence[bytes]
    ) -> Mapping[bytes, bytes] | None:
        """The rows of those of ``cards`` that have one, archived or not. They stay where they are: a row saved later is
        the one that counts. None: refused, as in `archive`."""


class Reader(Protocol):
    """Reads every partition of one topic for one process (no group): learner, desk, tests."""

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        """Begin at the given offsets (missing: the log's beginning); answer the partition numbers."""

    async def ends(self) -> dict[int, int]:
        """The offset after the newest record of each partition, now."""

    async def poll(self, timeout_s: float) -> Poll:
        """What has come, {} when nothing came in time."""

    async def stop(self) -> None: ...


class WholeReader(Reader, Protocol):
    """A Reader that can tell when it has read everything there is."""

    async def places(self) -> dict[int, int]:
        """The offset that each partition is read from next."""


class Lease(Protocol):
    """At most one holder of a name at a time; each new holder gets a higher epoch. May raise `StoreDown`."""

    async def acquire(self, name: str, ttl_s: float) -> int | None:
        """The epoch, or None while somebody else holds it."""

    async def renew(self, name: str, epoch: int, ttl_s: float) -> bool:
        """False when the lease was lost."""

    async def release(self, name: str, epoch: int) -> None: ...


class Clock(Protocol):
    """Wall time, unix seconds."""

    def now(self) -> float: ...


# --- Contact


class CallOrder(NamedTuple):
    """One call to be made. ``key`` makes it the same call however often it is ordered; ``to`` is E.164;
    ``reference`` names the alerts it asks about; ``sender``: the caller id to show, empty for the channel's own."""

    key: str
    to: str
    language: str
    say: str
    voicemail: str
    thanks_yes: str
    thanks_no: str
    reference: Sequence[str]
    ring_s: float
    sender: str = ""


class CallAccepted(NamedTuple):
    """The provider has the call, under its own name for it."""

    call: str


class CallRefused(NamedTuple):
    """The provider certainly did not take the call. ``permanent``: it never will."""

    permanent: bool
    reason: str


class CallUnknown(NamedTuple):
    """No usable answer: the provider may or may not have the call."""

    reason: str


class CallAbsent(NamedTuple):
    """The provider never had a call of this key."""


class CallReport(NamedTuple):
    """What the provider says about a call. ``status``: queued, ringing, answered (it goes on); completed (with the
    ``digits`` pressed), busy, no_answer, failed, hung_up, voicemail (it is over)."""

    key: str
    call: str
    status: str
    digits: str | None = None


class MessageOrder(NamedTuple):
    """One message to be sent. ``key`` makes it the same message however often it is ordered; ``to``: E.164 number,
    e-mail address, app or WeChat id; ``subject``: of an e-mail or a push; ``reference`` names the alerts it asks about;
    after ``expires_s`` it is not worth delivering; ``sender``: as whom, empty for the channel's own (push and WeChat
    have no other)."""

    key: str
    channel: str
    to: str
    language: str
    text: str
    subject: str | None
    reference: Sequence[str]
    expires_s: float
    sender: str = ""


class MessageChannel(Protocol):
    """Who carries messages of one channel. Neither method raises for a provider that is away."""

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown: ...

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        """What became of the message of this key: queued, sent (it goes on), delivered, undelivered, failed."""


class SentMessage(NamedTuple):
    """One order as its provider knows it. ``names``: of its parts, None for one the provider is not known to have;
    ``statuses``: by name, of those whose outcome is known; ``sender``: the order's."""

    key: str
    names: Sequence[str | None]
    statuses: Mapping[str, str] = MappingProxyType({})
    sender: str = ""


class SentMessages(Protocol):
    """Which names of a provider stand for which order, for all workers and for some days: what it tells of a message may
    reach any of them. Each method may raise `StoreDown`."""

    async def keep(self, message: SentMessage) -> None:
        """It was sent, under these names. What was heard of them stays."""

    async def of_key(self, key: str) -> SentMessage | None: ...

    async def heard(self, name: str, status: str) -> SentMessage | None:
        """The message with what became of its part ``name``, and of all others; None: nobody sent it."""


class Provider(Protocol):
    """Who makes the calls. Neither method raises for a provider that is away."""

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown: ...

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        """What became of the call of this key."""

    async def cancel(self, key: str, call: str | None) -> None:
        """End the call of this key, if it goes on; ``call``: the provider's name for it, where it is known. Nothing
        depends on it."""


class Reach(Protocol):
    """How often each way reached whom, counted apart by period. Both may raise `StoreDown`. An increment may be lost or
    come twice when a worker or the store dies: these are figures to learn from, nothing depends on one of them."""

    async def add(self, period: int, counted: Mapping[Arm, Tally]) -> None:
        """Whole numbers, on top of those there."""

    async def counts(self, periods: Sequence[int], arms: Sequence[Arm]) -> Mapping[Arm, Sequence[Tally]]:
        """For each arm what was counted in each of ``periods``, in their order."""


class ReadUpTo(NamedTuple):
    """How far a partition of ``decisions`` is taken in: the log offset to read next, and the lowest source offset
    that is no repeat."""

    log_next: int
    source_next: int


class Move(NamedTuple):
    """A partition's position going from ``before`` (None: never stored) to ``after``."""

    partition: int
    before: ReadUpTo | None
    after: ReadUpTo


class OutboxEntry(NamedTuple):
    """A record to publish, at least once, under a deterministic ``id``. With ``numbered`` the value holds
    ``"sequence":0``, replaced in the accepting step by the next number of the card."""

    id: str
    topic: str
    key: str
    value: bytes
    numbered: bool = False


class Change(NamedTuple):
    """One conversation's new form. ``version``: as it was read, 0 for a new one. ``open``: it goes on, and is the card's open
    conversation unless it stands ``apart``. ``alerts``: those it takes in by this change. ``class_``: whose turn it is when
    several are due. ``dossier``: entries put behind those there are, all kept while it is open and for ``dossier_ms`` after
    the last change. For a store that was lost: ``becomes`` is the version it is stored as, if that is more than one
    more than ``version``; ``number`` the last number given to a command of the card, which no later one goes below."""

    contact: str
    card: str
    customer: str | None
    version: int
    value: bytes
    due_ms: int | None
    open: bool
    alerts: Sequence[str] = ()
    outbox: Sequence[OutboxEntry] = ()
    dossier: Sequence[bytes] = ()
    dossier_ms: int = 0
    class_: str = "fraud"
    apart: bool = False
    becomes: int = 0
    number: int = 0


Notes = Mapping[str, bytes]
"""What is remembered beyond one conversation about a customer, a number of theirs, a card: by key, b"" for nothing."""


class Note(NamedTuple):
    """A note going from ``before`` (b"": none) to ``after``. What several workers decide upon at once, only one of them
    may act on. ``keep_ms``: forgotten so long after the last time it was written; None: never."""

    key: str
    before: bytes
    after: bytes
    keep_ms: int | None


class Kept(NamedTuple):
    """A conversation as stored, with the customer's record beside it if it was asked for and there is one, and the
    notes on them."""

    contact: str
    version: int
    value: bytes
    customer: bytes | None = None
    notes: Notes = MappingProxyType({})


class Opened(NamedTuple):
    """An open conversation and when it is due by the schedule; None: it is in no schedule, nobody will look at it."""

    contact: str
    version: int
    value: bytes
    due_ms: int | None


class Asked(NamedTuple):
    """One alert to look up: its card, its customer if the decision names one, its id."""

    card: str
    customer: str | None
    alert: str


class Seen(NamedTuple):
    """What the store knows about an alert: the card's open conversation, whether the alert was taken in before, whose
    card it is, that customer's record and the notes on them."""

    open: Kept | None
    known: bool
    customer: str | None
    record: bytes | None
    notes: Notes = MappingProxyType({})


class Known(NamedTuple):
    """What the directory holds of one customer: the record, None if there is none, and the notes on them."""

    record: bytes | None
    notes: Notes = MappingProxyType({})


class Committed(NamedTuple):
    """Outcome of a commit. "changed": a conversation or a history is no longer as read, read again. "moved": the partition's
    position is another's, its owner must load it anew. "already": this very move is stored. ``outbox``: on "stored"
    the entries as they will be published, numbers in place."""

    outcome: Literal["stored", "changed", "moved", "already"]
    outbox: Sequence[OutboxEntry] = ()


class Swept(NamedTuple):
    """What a sweep found: where the next one goes on (0: it has been through all), how many open conversations had no due
    step and have one now, how many cards had an open conversation that is not there or has ended, and have none now."""

    cursor: int
    scheduled: int
    dropped: int


class DirectoryEntry(NamedTuple):
    """One customer of the directory. ``record``: JSON, None to erase it; ``cards``: whose holder they are; ``notes``:
    the keys of the notes on them and their numbers."""

    customer: str
    record: bytes | None
    cards: Sequence[str] = ()
    notes: Sequence[str] = ()


def card_note(card: str) -> str:
    """The key of the note on a card."""
    return f"x:{card}"


class ContactStore(Protocol):
    """Where conversations, their schedule, the outbox and the customers' directory outlive the process. Each method is
    one atomic step; each may raise `StoreDown`. Times are unix milliseconds of the caller's clock."""

    async def position(self, partition: int) -> ReadUpTo | None: ...

    async def look(self, asked: Sequence[Asked]) -> Sequence[Seen]: ...

    async def commit(
        self,
        changes: Sequence[Change],
        now_ms: int,
        lease_ms: int,
        keep_ms: int,
        move: Move | None = None,
        notes: Sequence[Note] = (),
    ) -> Committed:
        """All or nothing. The outbox entries belong to the caller for ``lease_ms``, then to whoever asks; ended
        conversations and alerts taken in are remembered for ``keep_ms``."""

    async def conversation(self, contact: str) -> Kept | None: ...

    async def note(self, key: str) -> bytes:
        """One note; b"" for none."""

    async def customer(self, customer: str) -> Known: ...

    async def dossier(self, contact: str) -> Sequence[bytes]:
        """The entries of a contact's dossier, in the order they were made; none: nothing was recorded, or it is
        forgotten."""

    async def claim(self, now_ms: int, lease_ms: int, limit: int, others: int = 0) -> Sequence[Kept]:
        """At most ``limit`` conversations whose time has come, those of class fraud first, ``others`` of the other classes
        at most (in the order of `URGENCY`). Leased: they come due again when the lease ends, unless changed."""

    async def sweep(self, cursor: int, limit: int) -> Swept:
        """See to it that each of the next open conversations, about ``limit`` of them from ``cursor`` on (0: the first), is
        there and has a due step. One that has none gets the moment it was last given."""

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        """Entries whose lease ended, oldest first, leased anew."""

    async def published(self, ids: Sequence[str]) -> None:
        """These entries are acknowledged by the log: forget them."""

    async def put_customers(self, entries: Sequence[DirectoryEntry]) -> None:
        """Write customers' records and which cards are theirs, in this order."""

    async def open_count(self, class_: str = "fraud") -> int:
        """Conversations of the class open now, over all workers; of class fraud those that ask about a card."""

    def opened(self) -> AsyncIterator[Sequence[Opened]]:
        """Every conversation open now that asks about a card, some hundred at a time; one that changes meanwhile may be
        missing, or come twice."""

    async def overdue(self, now_ms: int) -> Sequence[str]:
        """The ids of outbox entries whose lease ended, oldest first, at most a thousand; they are left as they are."""
