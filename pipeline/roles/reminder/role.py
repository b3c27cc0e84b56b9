"""The reminder role: events of accounts in, requests to tell customers out, and what a payment makes idle taken back at once.

Fed by polls of ``accounts`` (partitions shared among workers), by ``contacts`` and ``customer-state``. An account's record,
its next moment, the requests and the position are in the contact store before a call returns: a worker may be killed at
any moment. What was published twice bears the same id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from pipeline.core.contact_hours import Almanac
from pipeline.core.reminder_policy import ReminderPolicy
from pipeline.ports import Clock, Log, Membership, Poll, Record, StoreDown
from pipeline.ports_reminder import AccountStore
from pipeline.roles.reminder.answers import STORE_RETRY_S, Answers
from pipeline.roles.reminder.following import Following
from pipeline.roles.reminder.intake import MAX_EVENTS, AccountNotices, Intake
from pipeline.roles.reminder.letters import DeadLetters
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.outbox import OUTBOX_LEASE_MS, Outbox
from pipeline.roles.reminder.planning import Planning
from pipeline.roles.reminder.sending import MOST, Sending
from pipeline.roles.reminder.tags import CustomerTags

BEAT_S = 0.1
"""How often is looked for what is due."""
SWEEP_S = 1.0
PLAN_S = 1.0
"""How often is asked whether there is a day to plan."""
SWEEP_ENTRIES = 500
PlanSource = Callable[[], ReminderPolicy]
"""The plan in force: the same object until it changes."""
log = structlog.get_logger()


class _Place:
    """The offset a partition is to be read from next, in the store; ``said_ms``: log timestamp of the last record."""

    def __init__(self, next_offset: int | None) -> None:
        self.next_offset = next_offset
        self.said_ms: int | None = None


class ReminderRole:
    """A PolledRole of ``accounts``. Asks ``plan`` when made: raises what that raises, and LookupError for a plan whose time
    zone the almanac does not know."""

    def __init__(
        self,
        log: Log,
        store: AccountStore,
        clock: Clock,
        almanac: Almanac,
        plan: PlanSource,
        bank_time_zone: str,
        metrics: ReminderMetrics,
        dead_letter: DeadLetters,
        notices: AccountNotices | None = None,
    ) -> None:
        self.tags = CustomerTags()
        self.partitions = 0
        """How many partitions the topic has, over all workers; 0: not known yet, and no day is planned before."""
        self._store = store
        self._clock = clock
        self._plan = plan
        self._metrics = metrics
        self._outbox = Outbox(log, store)
        self._following = Following(plan(), almanac, self.tags.of)
        self._intake = Intake(store, self._following, self._outbox, clock, metrics, dead_letter, notices)
        self._sending = Sending(store, self._following, self._outbox, clock, metrics)
        self._planning = Planning(store, self._following, clock, almanac, bank_time_zone, metrics)
        self.contacts = Answers(store, self._following, self._outbox, clock, metrics, dead_letter).take
        self._places: dict[int, _Place] = {}
        self._lost: set[int] = set()
        self._held: set[int] = set()
        self._marks: dict[int, int] = {}
        self._swept_at = 0.0
        self._working: list[asyncio.Task[None]] = []

    # --- life

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._working = [
            loop.create_task(self._again(self.tick, BEAT_S)),
            loop.create_task(self._again(self.plan_day, PLAN_S)),
        ]

    async def stop(self) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        self._working = []
        with suppress(StoreDown):
            await self._outbox.tidy()

    async def _again(self, work: Callable[[], Awaitable[int]], pause_s: float) -> None:
        """Go on with ``work``: at once where it had its hands full."""
        while True:
            done = 0
            try:
                done = await work()
            except StoreDown as error:
                log.warning("the contact store is away", error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
            except Exception as error:
                self._metrics.failures.inc()
                log.exception("a piece of work failed", error=type(error).__name__)
                await asyncio.sleep(STORE_RETRY_S)
            await asyncio.sleep(0 if done >= MOST else pause_s)

    async def tick(self) -> int:
        """Ask for what is due; publish what others left behind. Answers how many accounts were looked at. Raises
        `StoreDown`, and what the log raises."""
        claimed = 0
        if self.tags.whole and self._places:
            claimed = (await self._sending.go_on(sorted(self._places))).claimed
        await self._outbox.tidy()
        if self._clock.now() >= self._swept_at + SWEEP_S:
            self._swept_at = self._clock.now()
            await self._outbox.sweep(round(self._clock.now() * 1000), OUTBOX_LEASE_MS, SWEEP_ENTRIES)
        return claimed

    async def plan_day(self) -> int:
        """Plan the day, if that is not done for each partition. Raises `StoreDown`."""
        policy = self._plan()
        if policy is not self._following.policy:
            self._following.use(policy)
        if self.tags.whole and self._places and self.partitions:
            await self._planning.go_on(sorted(self._places), self.partitions)
        return 0

    # --- accounts

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        return {}  # a position costs one read of the store: nothing is worth keeping

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        while True:
            try:
                found = await self._store.position(partition)
            except StoreDown as error:
                log.warning("waiting for the contact store", partition=partition, error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
                continue
            self._places[partition] = _Place(found)
            return found

    def waits(self) -> bool:
        return bool(self._held)

    async def polled(self, poll: Poll) -> None:
        await asyncio.gather(*(self._take(number, records) for number, records in poll.items()))

    async def _take(self, partition: int, records: Sequence[Record]) -> None:
        place = self._places.get(partition)
        if place is None:
            return
        for start in range(0, len(records), MAX_EVENTS):
            if not await self._take_chunk(partition, place, records[start : start + MAX_EVENTS]):
                return

    async def _take_chunk(self, partition: int, place: _Place, chunk: Sequence[Record]) -> bool:
        """False: the partition is no longer this worker's."""
        while True:
            if self._places.get(partition) is not place:
                self._held.discard(partition)
                return False
            try:
                mine = await self._intake.take(chunk, partition, place.next_offset)
                break
            except StoreDown as error:
                self._held.add(partition)
                log.warning("accounts wait for the contact store", partition=partition, error=str(error))
                await asyncio.sleep(STORE_RETRY_S)
        self._held.discard(partition)
        if not mine:
            log.info("the position was moved by another worker", partition=partition)
            if self._places.get(partition) is place:
                del self._places[partition]
            self._lost.add(partition)
            return False
        place.next_offset, place.said_ms = chunk[-1].offset + 1, chunk[-1].timestamp
        return True

    async def boundary(self) -> Sequence[int]:
        lost, self._lost = sorted(self._lost), set()
        return lost

    async def revoked(self, clean: bool) -> None:
        self._places.clear()
        self._lost.clear()

    async def measured(self, lag: Mapping[int, int], asked_at: float) -> None:
        """``lag``: records of each partition not yet handled, by the log's end as the broker told it when asked at
        ``asked_at``, unix seconds. Notes up to when the partitions are taken in. Raises `StoreDown`."""
        marks = {}
        for partition, behind in lag.items():
            place = self._places.get(partition)
            if place is None:
                continue
            until_ms = round(asked_at * 1000)
            if behind:
                if place.said_ms is None:
                    continue  # nothing was read since this worker has it: the mark stays as it is
                until_ms = min(until_ms, place.said_ms)
            marks[partition] = until_ms
        await self._store.mark(marks)
        self._marks |= marks

    def scraped(self, lag: Mapping[int, int]) -> None:
        """Prometheus asks: what depends on the time of asking."""
        self._metrics.lag.clear()
        for partition, behind in lag.items():
            self._metrics.lag.labels("reminder", str(partition)).set(behind)
        self._metrics.taken_in.clear()
        for partition in self._marks.keys() & self._places.keys():
            age_s = self._clock.now() - self._marks[partition] / 1000
            self._metrics.taken_in.labels(str(partition)).set(max(0.0, age_s))
