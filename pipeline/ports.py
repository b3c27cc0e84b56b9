"""What a role needs from the world, as small protocols. Adapters implement them; tests and `evaluate` use fakes.

A *role* is driven by a Log adapter: it is told which partitions are its own, handed whole polls, and told when a
partition goes. It never sees Kafka, Redis or HTTP.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

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


class PartsReader(Protocol):
    """Reads some partitions of several topics, those it is told, for whoever keeps the positions."""

    async def start(self) -> None: ...

    def read(self, places: Mapping[tuple[Topic, int], int | None]) -> None:
        """From now on exactly these, each from its offset (None: from the log's beginning)."""

    async def poll(self, timeout_s: float) -> Mapping[tuple[Topic, int], Sequence[Record]]:
        """What has come, {} when nothing came in time."""

    async def stop(self) -> None: ...


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
