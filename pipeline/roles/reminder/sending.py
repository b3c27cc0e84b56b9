"""What is due of the accounts: a stage that has come is asked for, or skipped with its reason on record, and the account
gets its next moment, all in one step."""

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from pipeline.core.account import Account, decode, encode
from pipeline.core.arrears import of_bill
from pipeline.core.records import ContactRequest
from pipeline.core.reminder_plan import BROKEN, Planned, noted, request_of, withdrawal_of
from pipeline.ports import Clock
from pipeline.ports_reminder import AccountChange, AccountStore, DueAccount, Shift
from pipeline.roles.reminder.following import Following
from pipeline.roles.reminder.metrics import STAGES, ReminderMetrics
from pipeline.roles.reminder.outbox import OUTBOX_LEASE_MS, Outbox, entry_of

LEASE_MS = 15_000
"""How long an account is left to the worker that claimed it."""
MOST = 200
"""Accounts of one step."""
MOST_STEPS = 64
"""Stages of one account in a row: a plan has fewer."""
log = structlog.get_logger()


class _Work:
    """A claimed account on its way through the stages that have come."""

    def __init__(self, due: DueAccount, account: Account) -> None:
        self.due = due
        self.account = account
        self.requests: list[ContactRequest] = []
        self.asked: list[tuple[Planned, str]] = []
        self.skipped: list[str] = []
        self.due_ms: int | None = None


class Sent(NamedTuple):
    """``claimed``: accounts looked at; ``asked``: reminders asked for."""

    claimed: int
    asked: int


class Sending:
    """Takes what is due from the schedule."""

    def __init__(
        self, store: AccountStore, following: Following, outbox: Outbox, clock: Clock, metrics: ReminderMetrics
    ) -> None:
        self._store = store
        self._following = following
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics

    async def go_on(self, partitions: Sequence[int]) -> Sent:
        """The next accounts that are due; their requests are published when this returns. Raises `StoreDown`, and what the
        log raises: what was claimed comes due again."""
        now_ms = round(self._clock.now() * 1000)
        claimed = await self._store.claim(partitions, now_ms, LEASE_MS, MOST)
        if not claimed:
            return Sent(0, 0)
        works = [_Work(one, self._following.termed(decode(one.value))) for one in claimed]
        self._walk(works, now_ms)
        done = await self._store_all(works, now_ms)
        await self._outbox.publish([entry_of(request) for work in done for request in work.requests])
        self._count(done)
        return Sent(len(claimed), sum(len(work.asked) for work in done))

    def _walk(self, works: Sequence[_Work], now_ms: int) -> None:
        """Each through all stages that have come."""
        left = list(works)
        for _ in range(MOST_STEPS):
            steps = self._following.next_steps([work.account for work in left], now_ms)
            going = []
            for work, planned in zip(left, steps, strict=True):
                if planned is None or planned.at_ms > now_ms:
                    work.due_ms = self._following.due_ms(work.account, planned, now_ms)
                else:
                    self._act(work, planned, now_ms)
                    work.due_ms = now_ms
                    going.append(work)
            left = going
            if not left:
                return

    def _act(self, work: _Work, planned: Planned, now_ms: int) -> None:
        account = noted(work.account, planned, now_ms)
        if planned.skipped is None:
            work.requests.append(request_of(account, planned, now_ms))
            stage = of_bill(account, planned.bill, now_ms).stage
            work.asked.append((planned, stage if stage in STAGES else STAGES[0]))
        else:
            work.skipped.append(planned.skipped)
            if of_bill(account, planned.bill, now_ms).days_past_due > 0:
                work.requests.append(withdrawal_of(account, planned.bill, planned.stage, planned.skipped))
        if planned.stage.startswith(BROKEN):
            self._metrics.promises.labels("broken").inc()
        work.account = account

    async def _store_all(self, works: Sequence[_Work], now_ms: int) -> Sequence[_Work]:
        """Together if nobody changed one of them meanwhile, else one by one. Whoever changed one gave it its moment, or left
        it the end of the lease: then it is looked at again at once."""
        changes = [self._change(work) for work in works]
        if await self._store.commit(changes, now_ms, OUTBOX_LEASE_MS) == "stored":
            return works
        done = []
        for work, change in zip(works, changes, strict=True):
            if await self._store.commit([change], now_ms, OUTBOX_LEASE_MS) == "stored":
                done.append(work)
            else:
                again = Shift(change.account, now_ms + LEASE_MS, now_ms)
                await self._store.put_due(change.partition, [again])
        return done

    def _change(self, work: _Work) -> AccountChange:
        due, outbox = work.due, [entry_of(request) for request in work.requests]
        return AccountChange(due.account, due.value, encode(work.account), work.due_ms, due.partition, outbox)

    def _count(self, works: Sequence[_Work]) -> None:
        now = self._clock.now()
        for work in works:
            for planned, stage in work.asked:
                self._metrics.requests.labels(planned.class_, stage).inc()
                due_ms = max(work.due.due_ms, planned.at_ms)
                self._metrics.lateness.observe(max(0.0, now - due_ms / 1000))
            for reason in work.skipped:
                self._metrics.skip(reason)
