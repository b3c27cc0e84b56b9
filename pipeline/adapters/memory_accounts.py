"""The account store in memory: the same steps as the Redis one, for tests and trials in one process.

Each method runs without a pause in between, so each is as atomic as a Lua step. Nothing expires.
"""

from collections.abc import Mapping, Sequence

from pipeline.ports_contact import OutboxEntry
from pipeline.ports_reminder import (
    AccountChange,
    AccountCommitted,
    AccountMove,
    DueAccount,
    Scheduled,
    Shift,
)


class MemoryAccountStore:
    """An AccountStore. ``notes``: those of the MemoryContactStore that stands for the same server."""

    def __init__(self, notes: dict[str, bytes] | None = None) -> None:
        self.notes = {} if notes is None else notes
        self.positions: dict[int, int] = {}
        self.due: dict[int, dict[str, int]] = {}
        self.plans: dict[int, str] = {}
        self.outbox: dict[str, OutboxEntry] = {}
        self.outbox_due: dict[str, int] = {}

    async def position(self, partition: int) -> int | None:
        return self.positions.get(partition)

    async def read(self, accounts: Sequence[str]) -> Sequence[bytes]:
        return [self._record(account) for account in accounts]

    def _record(self, account: str) -> bytes:
        return self.notes.get(f"a:{account}", b"")

    async def commit(
        self,
        changes: Sequence[AccountChange],
        now_ms: int,
        lease_ms: int,
        move: AccountMove | None = None,
    ) -> AccountCommitted:
        if move is not None:
            stored = self.positions.get(move.partition)
            if stored == move.after:
                return "already"
            if stored != move.before:
                return "moved"
        if any(self._record(change.account) != change.before for change in changes):
            return "changed"
        if move is not None:
            self.positions[move.partition] = move.after
        for change in changes:
            self.notes[f"a:{change.account}"] = change.after
            schedule = self.due.setdefault(change.partition, {})
            if change.due_ms is None:
                schedule.pop(change.account, None)
            elif not (change.stays and change.account in schedule):
                schedule[change.account] = change.due_ms
            for entry in change.outbox:
                self.outbox[entry.id] = entry
                self.outbox_due[entry.id] = now_ms + lease_ms
        return "stored"

    async def claim(self, partitions: Sequence[int], now_ms: int, lease_ms: int, limit: int) -> Sequence[DueAccount]:
        found: list[DueAccount] = []
        for partition in partitions:
            schedule = self.due.get(partition, {})
            ripe = sorted((at, account) for account, at in schedule.items() if at <= now_ms)[: limit - len(found)]
            for at, account in ripe:
                if record := self._record(account):
                    schedule[account] = now_ms + lease_ms
                    found.append(DueAccount(account, record, at, partition))
                else:
                    del schedule[account]
        return found

    async def day(
        self, partition: int, from_ms: int, until_ms: int, after: Scheduled | None, limit: int
    ) -> Sequence[Scheduled]:
        beginning = (after.due_ms, after.account) if after else (from_ms, "")
        due = sorted((at, account) for account, at in self.due.get(partition, {}).items() if from_ms <= at < until_ms)
        return [Scheduled(account, at) for at, account in due if (at, account) > beginning][:limit]

    async def put_due(self, partition: int, shifts: Sequence[Shift]) -> int:
        schedule = self.due.get(partition, {})
        moved = [shift for shift in shifts if schedule.get(shift.account) == shift.before_ms]
        schedule.update((shift.account, shift.after_ms) for shift in moved)
        return len(moved)

    async def planned(self, partition: int) -> str:
        return self.plans.get(partition, "")

    async def put_planned(self, partition: int, what: str) -> None:
        self.plans[partition] = what

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        ripe = sorted((at, name) for name, at in self.outbox_due.items() if at <= now_ms)[:limit]
        for _, name in ripe:
            self.outbox_due[name] = now_ms + lease_ms
        return [self.outbox[name] for _, name in ripe]

    async def published(self, ids: Sequence[str]) -> None:
        for name in ids:
            self.outbox.pop(name, None)
            self.outbox_due.pop(name, None)

    async def mark(self, until_ms: Mapping[int, int]) -> None:
        for partition, at in until_ms.items():
            known = int(self.notes.get(f"f:{partition}", b"0"))
            self.notes[f"f:{partition}"] = b"%d" % max(known, at)
