"""Where the contact role keeps what must outlive the process: conversations, schedules, the outbox, the directory, and what
reached whom."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from pipeline.core.reach import Arm, Tally


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
    may act on. ``after`` the same as ``before``: it is only compared, not written. ``keep_ms``: forgotten so long after the last
    time it was written; None: never."""

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


class Strays(NamedTuple):
    """Conversations found in no schedule, and where the next search goes on (0: it has been through all). One that an
    earlier version wrote may have ended."""

    cursor: int
    contacts: Sequence[str]


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


def account_note(account: str) -> str:
    """The key of the note with an account's record: what is owed."""
    return f"a:{account}"


def read_up_to_note(partition: int) -> str:
    """The key of the note on the moment (unix milliseconds) up to which a partition of ``accounts`` is read."""
    return f"f:{partition}"


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

    async def strays(self, cursor: int, limit: int) -> Strays:
        """Open conversations, of whatever they are about, that are in no schedule: among the next kept ones, about
        ``limit`` from ``cursor`` on (0: the first)."""

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
