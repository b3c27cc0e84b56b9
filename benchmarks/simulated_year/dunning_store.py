"""The two stores of the reminders' world, which are one server: when something in them comes due, and the order of their
steps, so that a judge can tell what had been taken in when an attempt was claimed."""

import heapq
from collections.abc import Sequence

import msgspec

from pipeline.adapters.memory_accounts import MemoryAccountStore
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.ports_contact import Change, Committed, Move, Note
from pipeline.ports_reminder import AccountChange, AccountCommitted, AccountMove, DueAccount, Shift
from simulated_year.dunning_evidence import DunningEvidence
from simulated_year.lines import Watched

SENDING = b'"step":"sending"'


class WatchedContacts(Watched):
    """A contact store that notes which of its steps claimed which attempt."""

    def __init__(self, store: MemoryContactStore, evidence: DunningEvidence) -> None:
        super().__init__(store)
        self._evidence = evidence

    async def commit(
        self,
        changes: Sequence[Change],
        now_ms: int,
        lease_ms: int,
        keep_ms: int,
        move: Move | None = None,
        notes: Sequence[Note] = (),
    ) -> Committed:
        committed = await super().commit(changes, now_ms, lease_ms, keep_ms, move, notes)
        if committed.outcome == "stored":
            self._evidence.step += 1
            for change in changes:
                for entry in change.outbox:
                    if SENDING in entry.value:
                        step = msgspec.json.decode(entry.value)
                        self._evidence.claimed[step["contact"], step["attempt"]] = (self._evidence.step, now_ms)
        return committed

    async def open_count(self, class_: str = "fraud") -> int:
        """For a metric that nobody reads here, of all but the questions."""
        return await self._store.open_count(class_) if class_ == "fraud" else 0


class WatchedAccounts(MemoryAccountStore):
    """An account store that notes up to where each partition was taken in by which of its steps."""

    def __init__(self, notes: dict[str, bytes], evidence: DunningEvidence) -> None:
        super().__init__(notes)
        self._evidence = evidence
        self._moments: list[tuple[int, int, str]] = []

    async def commit(
        self,
        changes: Sequence[AccountChange],
        now_ms: int,
        lease_ms: int,
        move: AccountMove | None = None,
    ) -> AccountCommitted:
        outcome = await super().commit(changes, now_ms, lease_ms, move)
        if outcome == "stored":
            self._evidence.step += 1
            if move is not None:
                self._evidence.taken[move.partition].append((self._evidence.step, now_ms, move.after))
            for change in changes:
                if change.due_ms is not None:
                    heapq.heappush(self._moments, (change.due_ms, change.partition, change.account))
        return outcome

    async def claim(self, partitions: Sequence[int], now_ms: int, lease_ms: int, limit: int) -> Sequence[DueAccount]:
        found = await super().claim(partitions, now_ms, lease_ms, limit)
        for one in found:
            heapq.heappush(self._moments, (now_ms + lease_ms, one.partition, one.account))
        return found

    async def put_due(self, partition: int, shifts: Sequence[Shift]) -> int:
        for shift in shifts:
            heapq.heappush(self._moments, (shift.after_ms, partition, shift.account))
        return await super().put_due(partition, shifts)

    def next_ms(self) -> int | None:
        """When the next account comes due."""
        while self._moments:
            at_ms, partition, account = self._moments[0]
            if self.due.get(partition, {}).get(account) == at_ms:
                return at_ms
            heapq.heappop(self._moments)
        return None
