"""Where the reminder role keeps what must outlive the process: accounts, when each is looked at next, the outbox, and how far
the topic is taken in."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from pipeline.ports_contact import OutboxEntry

AccountCommitted = Literal["stored", "changed", "moved", "already"]
"""Outcome of a commit. "changed": an account is no longer as read, read again. "moved": the partition's position is
another's, its owner must load it anew. "already": this very move is stored."""
NOTHING_DUE_MS = 10_000_000_000_000
"""The due moment of an account with an open bill about which nothing is planned: it stands at the schedule's end, so that
whoever plans anew finds it."""


class AccountChange(NamedTuple):
    """One account's record going from ``before`` (b"": none) to ``after``, both JSON text. ``due_ms``: when it is looked
    at next; None: never, and the record is forgotten some time. ``partition``: of the account, whose schedule it is in.
    ``stays``: one that is in the schedule keeps the moment it has there, which a day's plan may have given it."""

    account: str
    before: bytes
    after: bytes
    due_ms: int | None
    partition: int
    outbox: Sequence[OutboxEntry] = ()
    stays: bool = False


class AccountMove(NamedTuple):
    """The offset to read next of a partition of ``accounts`` going from ``before`` (None: never stored) to ``after``."""

    partition: int
    before: int | None
    after: int


class DueAccount(NamedTuple):
    """An account whose time has come: its record, the moment it was due, its partition."""

    account: str
    value: bytes
    due_ms: int
    partition: int


class Scheduled(NamedTuple):
    """An account and when it is due."""

    account: str
    due_ms: int


class Shift(NamedTuple):
    """An account's due moment going from ``before_ms``, as it was read, to ``after_ms``."""

    account: str
    before_ms: int
    after_ms: int


class AccountStore(Protocol):
    """Where accounts, their schedule, the outbox and positions outlive the process. Each method is one atomic step; each may
    raise `StoreDown`. Times are unix milliseconds of the caller's clock. An account's record is the note ``a:<account>``
    of the contact store, so that whoever claims an attempt there can compare it in the same step."""

    async def position(self, partition: int) -> int | None: ...

    async def read(self, accounts: Sequence[str]) -> Sequence[bytes]:
        """The records in the order asked; b"" for none."""

    async def commit(
        self,
        changes: Sequence[AccountChange],
        now_ms: int,
        lease_ms: int,
        move: AccountMove | None = None,
    ) -> AccountCommitted:
        """All or nothing; an account at most once. The outbox entries belong to the caller for ``lease_ms``, then to whoever
        asks."""

    async def claim(self, partitions: Sequence[int], now_ms: int, lease_ms: int, limit: int) -> Sequence[DueAccount]:
        """At most ``limit`` accounts of ``partitions`` whose time has come, the longest due of each first. Leased: they come
        due again when the lease ends, unless changed."""

    async def day(
        self, partition: int, from_ms: int, until_ms: int, after: Scheduled | None, limit: int
    ) -> Sequence[Scheduled]:
        """A page of the accounts due from ``from_ms`` on and before ``until_ms``, by due moment; the next page begins
        ``after`` the last of this. One that is moved between two pages may come twice, or not."""

    async def put_due(self, partition: int, shifts: Sequence[Shift]) -> int:
        """Move those that are still due when they were; answers how many. The others were changed meanwhile, by somebody
        who knew more."""

    async def planned(self, partition: int) -> str:
        """What the partition was planned for last; "" if it never was."""

    async def put_planned(self, partition: int, what: str) -> None: ...

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        """Entries whose lease ended, oldest first, leased anew."""

    async def published(self, ids: Sequence[str]) -> None:
        """These entries are acknowledged by the log: forget them."""

    async def mark(self, until_ms: Mapping[int, int]) -> None:
        """Up to when each partition of ``accounts`` is taken in: the note ``f:<partition>``, which never goes back."""
