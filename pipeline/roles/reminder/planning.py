"""The day's plan: once a bank's day, and whenever the plan's file has changed.

All accounts that come due that day are read in pages, their load is spread over the allowed hours to the channels'
capacity, and their moments are written back; one that was changed meanwhile keeps what it was given. A changed plan goes
through every account in the schedule first, and says of how many the next moment is another. What is interrupted is done
again from the beginning: a second time it finds less to move.
"""

import asyncio
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from pipeline.core.account import Account, Bill, decode, encode
from pipeline.core.arrears import standing
from pipeline.core.contact_hours import Almanac, Hours, Place
from pipeline.core.contact_policy import CHANNELS
from pipeline.core.conversation import Channel
from pipeline.core.reminder_moments import Timetable
from pipeline.core.spread import NEVER, REASONS, SLOT_MS, Load, Spread, open_slots, spread
from pipeline.ports import Clock
from pipeline.ports_reminder import NOTHING_DUE_MS, AccountChange, AccountStore, Scheduled, Shift
from pipeline.roles.reminder.following import Following
from pipeline.roles.reminder.metrics import STAGES, ReminderMetrics
from pipeline.roles.reminder.outbox import OUTBOX_LEASE_MS

PAGE = 400
"""Accounts of a day's plan at a time: some 5 ms, in which no payment is taken in."""
LONG_PAGE = 100
"""The same where each account is worked out whole."""
COUNT_PAUSE_S = 0.005
SHIFTS = 2_000
"""Moments written by one step of the store."""
EVERYTHING_MS = NOTHING_DUE_MS + 1
_FIRST: dict[str, Channel] = {"reminder": "sms", "collection": "voice"}
"""Where a class's ladder begins, for stages that name no channel: whose capacity they are counted against."""
_FIELDS = ("customer", "channel", "rank", "days_past_due", "amount", "from_ms", "until_ms")
log = structlog.get_logger()


class Day(NamedTuple):
    """A bank's day: ``what`` it is planned for, and when it begins and ends, unix ms."""

    what: str
    begins_ms: int
    ends_ms: int


_STORED = {field.name: field.encode_name for field in msgspec.structs.fields(Account)}


class _Owing(msgspec.Struct, gc=False, rename=_STORED):
    """What a day's plan reads of an account: a fifth of the time that all of it takes."""

    customer: str = ""
    product: str = "card"
    bills: tuple[Bill, ...] = ()


_owing = msgspec.json.Decoder(_Owing)


class _Row(NamedTuple):
    partition: int
    account: str
    due_ms: int


class _Step(NamedTuple):
    """A stage that comes today, and how urgent it is."""

    at_ms: int
    until_ms: int
    class_: str
    channels: tuple[Channel, ...]
    days_past_due: int
    amount: int


class _Today:
    """What comes due today, in columns."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.columns = {name: array("q") for name in _FIELDS}
        self._customers: dict[str, int] = {}

    def add(self, row: _Row, customer: str, step: _Step, ends_ms: int, now_ms: int) -> None:
        values = (
            self._customers.setdefault(customer, len(self._customers)),
            CHANNELS.index(step.channels[0] if step.channels else _FIRST[step.class_]),
            0 if step.class_ == "collection" else 1,
            step.days_past_due,
            step.amount,
            max(step.at_ms, now_ms),
            min(step.until_ms, ends_ms),
        )
        self.rows.append(row)
        for name, value in zip(_FIELDS, values, strict=True):
            self.columns[name].append(value)

    def load(self) -> Load:
        columns: dict[str, NDArray[np.int64]] = {
            name: np.frombuffer(column, dtype=np.int64) for name, column in self.columns.items()
        }
        return Load(place=np.zeros(len(self.rows), dtype=np.int64), **columns)


class Planning:
    """Plans the partitions it is given."""

    def __init__(
        self,
        store: AccountStore,
        following: Following,
        clock: Clock,
        almanac: Almanac,
        bank_time_zone: str,
        metrics: ReminderMetrics,
    ) -> None:
        self._store = store
        self._following = following
        self._clock = clock
        self._almanac = almanac
        self._zone = ZoneInfo(bank_time_zone)
        self._metrics = metrics
        self._done: dict[int, str] = {}
        self._stages: dict[int, Counter[str]] = {}

    async def go_on(self, partitions: Sequence[int], every: int) -> int:
        """Plan those of ``partitions`` that are not planned for today by the present plan; ``every``: how many there are in
        all, over all workers. Answers how many accounts were looked at. Raises `StoreDown`: it begins anew later."""
        for gone in self._done.keys() - set(partitions):
            del self._done[gone]
            self._stages.pop(gone, None)
        day, changed, waiting = self.day(), [], []
        for partition in partitions:
            if self._done.get(partition) == day.what:
                continue
            known = self._done[partition] = await self._store.planned(partition)
            if known != day.what:
                waiting.append(partition)
                if known.partition(" ")[2] != self._following.policy.version:
                    changed.append(partition)
        if not waiting:
            uncounted = next((each for each in partitions if each not in self._stages), None)
            if uncounted is not None:
                await self._count(uncounted)
            return 0
        began = self._clock.now()
        if changed:
            await self._replan(changed)
        looked_at = await self._plan(waiting, day, len(waiting) / max(every, len(waiting)))
        for partition in waiting:
            await self._store.put_planned(partition, day.what)
            self._done[partition] = day.what
            self._stages.pop(partition, None)
        self._metrics.plan.observe(self._clock.now() - began)
        self._metrics.planned.inc(looked_at)
        log.info("the day is planned", day=day.what, accounts=looked_at, partitions=len(waiting))
        return looked_at

    def day(self) -> Day:
        """Today by the bank's clock, and the plan in force."""
        now = datetime.fromtimestamp(self._clock.now(), self._zone)
        begins = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        what = f"{begins.date().isoformat()} {self._following.policy.version}"
        return Day(what, _ms(begins), _ms(begins + timedelta(days=1)))

    async def _pages(
        self, partition: int, from_ms: int, until_ms: int, size: int
    ) -> AsyncIterator[tuple[Sequence[Scheduled], Sequence[bytes]]]:
        """Scheduled accounts with their records."""
        after: Scheduled | None = None
        while page := await self._store.day(partition, from_ms, until_ms, after, size):
            yield page, await self._store.read([one.account for one in page])
            after = page[-1]
            if len(page) < size:
                return

    # --- a changed plan

    async def _replan(self, partitions: Sequence[int]) -> None:
        """What stands in the schedule is read before the first of it is moved: it would be met again."""
        accounts = moved = 0
        for partition in partitions:
            found: list[Scheduled] = []
            while page := await self._store.day(partition, 0, EVERYTHING_MS, found[-1] if found else None, SHIFTS):
                found.extend(page)
            accounts += len(found)
            for start in range(0, len(found), LONG_PAGE):
                piece = found[start : start + LONG_PAGE]
                values = await self._store.read([one.account for one in piece])
                moved += await self._replan_page(partition, piece, values)
        log.info(
            "every open account is planned by the present plan",
            plan=self._following.policy.version,
            accounts=accounts,
            moved=moved,
        )

    async def _replan_page(self, partition: int, page: Sequence[Scheduled], values: Sequence[bytes]) -> int:
        now_ms = self._now_ms()
        ahead = [(one, value) for one, value in zip(page, values, strict=True) if value and one.due_ms > now_ms]
        before = [decode(value) for _, value in ahead]
        after = [self._following.termed(account) for account in before]
        moved, shifts, changes = 0, [], []
        for (one, value), old, new, planned in zip(
            ahead, before, after, self._following.next_steps(after, now_ms), strict=True
        ):
            due_ms = self._following.due_ms(new, planned, now_ms)
            if new is not old:
                changes.append(AccountChange(one.account, value, encode(new), due_ms, partition))
            elif due_ms is not None and due_ms != one.due_ms:
                shifts.append(Shift(one.account, one.due_ms, due_ms))
            moved += due_ms != one.due_ms
        await self._store.put_due(partition, shifts)
        if changes and await self._store.commit(changes, now_ms, OUTBOX_LEASE_MS) != "stored":
            for change in changes:  # whoever changed one of them meanwhile knew the present plan, or is told of it next
                await self._store.commit([change], now_ms, OUTBOX_LEASE_MS)
        return moved

    # --- the day

    async def _plan(self, partitions: Sequence[int], day: Day, share: float) -> int:
        """``share``: of the channels' capacity."""
        now_ms, today, looked_at = self._now_ms(), _Today(), 0
        times = Timetable(self._following.policy, self._almanac)
        for partition in partitions:
            async for page, values in self._pages(partition, now_ms, day.ends_ms, PAGE):
                looked_at += len(page)
                for one, value in zip(page, values, strict=True):
                    if not value:
                        continue
                    account = _owing.decode(value)
                    step = self._stage_at(account, one.due_ms, times) or self._worked_out(value, now_ms)
                    if step is not None and step.at_ms < day.ends_ms:
                        row = _Row(partition, one.account, one.due_ms)
                        today.add(row, account.customer, step, day.ends_ms, now_ms)
                await asyncio.sleep(0)
        if today.rows:
            found = await asyncio.to_thread(partial(self._spread, today, day, now_ms, share))
            await self._write(today.rows, found, day)
        return looked_at

    def _stage_at(self, account: _Owing, due_ms: int, times: Timetable) -> _Step | None:
        """The stage of a bill that comes at that very moment: whoever set it worked the account out."""
        for bill in account.bills:
            for moment in times.of(account.product, bill.due_on):
                if moment.at_ms == due_ms:
                    stage = self._following.policy.stages[moment.stage]
                    return _Step(
                        due_ms, moment.until_ms, stage.class_, stage.channels, stage.day or 0, bill.balance or 0
                    )
        return None

    def _worked_out(self, value: bytes, now_ms: int) -> _Step | None:
        """What is due of an account that waits since yesterday, or for the end of a promise; None where that is only to be put
        on record: what nobody is told needs no room, and would be moved to tomorrow for want of it, every day anew."""
        account = self._following.termed(decode(value))
        (planned,) = self._following.next_steps([account], now_ms)
        if planned is None or planned.skipped is not None:
            return None
        now = standing(account, now_ms)
        urgency = now.days_past_due, now.owed
        return _Step(planned.at_ms, planned.until_ms, planned.class_, planned.channels, *urgency)

    def _spread(self, today: _Today, day: Day, now_ms: int, share: float) -> Spread:
        """Runs beside the event loop."""
        plan = self._following.policy.spread
        begins_ms = day.begins_ms + (now_ms - day.begins_ms) // SLOT_MS * SLOT_MS
        hours, place = Hours(plan.start, plan.end), Place((self._zone,), (), self._almanac.holiday)
        opened = open_slots([((hours,), place)], begins_ms, -(-(day.ends_ms - begins_ms) // SLOT_MS))
        per_hour = {CHANNELS.index(name): max(1, round(each * share)) for name, each in plan.per_hour.items()}
        return spread(today.load(), opened, per_hour, begins_ms)

    async def _write(self, rows: Sequence[_Row], found: Spread, day: Day) -> None:
        """Whoever found no room waits for tomorrow's hours."""
        tomorrow_ms = day.ends_ms + self._following.policy.spread.start * 60_000
        by_partition: dict[int, list[Shift]] = {}
        for row, moment_ms in zip(rows, found.moment_ms.tolist(), strict=True):
            after_ms = tomorrow_ms if moment_ms == NEVER else moment_ms
            if after_ms != row.due_ms:
                by_partition.setdefault(row.partition, []).append(Shift(row.account, row.due_ms, after_ms))
        for partition, shifts in by_partition.items():
            for start in range(0, len(shifts), SHIFTS):
                await self._store.put_due(partition, shifts[start : start + SHIFTS])
        for number, reason in enumerate(REASONS):
            if reason:
                self._metrics.later.labels(reason).inc(int((found.reason == number).sum()))

    # --- how they stand

    async def _count(self, partition: int) -> None:
        """Accounts by stage, for the metric, with pauses in between: nobody waits for it."""
        counts: Counter[str] = Counter()
        async for _, values in self._pages(partition, 0, EVERYTHING_MS, LONG_PAGE):
            now_ms = self._now_ms()
            counts.update(standing(decode(value), now_ms).stage for value in values if value)
            await asyncio.sleep(COUNT_PAUSE_S)
        self._stages[partition] = counts
        for stage in STAGES:
            self._metrics.accounts.labels(stage).set(sum(each[stage] for each in self._stages.values()))

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
