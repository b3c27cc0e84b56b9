"""The learner: one process learns from what the scorers saw and what became known of it, and publishes for all of them.

Whoever holds the lease leads: finds the newest snapshot and the table of entities on ``control``, reads ``scored`` and
``labels`` on from there, publishes a signed snapshot at window boundaries, and the parts of the table that a label
changes at once. The others wait and keep nothing. On any trouble (broker or store away, lease
lost) the leader lets go of everything and begins again from its newest snapshot: one way to start, tried at every
start. Scorers go on with the snapshot they have.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import structlog

from models.snapshot import Labelled, Snapshot, seal
from pipeline.core.entity_record import seal_part
from pipeline.core.told import seal_told
from pipeline.core.topics import CONTROL, LABELS, MODEL_KEY, SCORED, challenger_key
from pipeline.ports import Outgoing, Poll, Reader
from pipeline.roles.learner.casting import Cast, cast
from pipeline.roles.learner.control import ControlState, Found
from pipeline.roles.learner.course import Course, FeatureSpace, Plan
from pipeline.roles.learner.customers import Customers
from pipeline.roles.learner.customers_followed import CustomersFollowed
from pipeline.roles.learner.inputs import EVERYTHING_MS, LabelsRead, Stretch, in_order, read_again, up_to
from pipeline.roles.learner.late import Fetching
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.release import Releasing, report_of
from pipeline.roles.learner.world import Pace, World

LEASE_NAME = "learner"

_log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Somebody else may lead now."""


class ChampionChanged(Exception):
    """People made another model champion: begin again with the parts changed."""


@dataclass
class _Published:
    """The newest snapshot, as it stands on ``control``: ``told`` is repeated for scorers that come late."""

    told: Sequence[Outgoing]
    made_at: float


class Learner:
    """``key`` signs the snapshots; ``space`` is the catalogue of features; ``releasing`` makes, for each term of leading, who
    decides which snapshots go live by themselves (None: all)."""

    def __init__(
        self,
        world: World,
        space: FeatureSpace,
        plan: Plan,
        key: bytes,
        metrics: LearnerMetrics,
        pace: Pace | None = None,
        releasing: Callable[[], Releasing] | None = None,
        customers: Customers | None = None,
    ) -> None:
        self._new_releasing = releasing
        self._releasing: Releasing | None = None
        self._orders_at = 0.0
        self._world = world
        self._space = space
        self._plan = plan
        self._key = key
        self._metrics = metrics
        self._pace = pace or Pace()
        self._customers = customers
        self._retry_s = self._pace.first_retry_s
        self._read_all = False
        self._renewed_at = 0.0
        self._lag_at = 0.0
        self._heard_at = 0.0
        self._repeated_at = 0.0
        self._told_at = float("-inf")
        self._followed: CustomersFollowed | None = None
        self._published: _Published | None = None
        self._late = Fetching(world.past, metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or wait to lead, until ``stop``. Raises nothing but cancellation."""
        while not stop.is_set():
            try:
                lease_epoch = await self._world.lease.acquire(LEASE_NAME, self._pace.lease_s)
                if lease_epoch is None:
                    await _pause(stop, self._pace.lease_s / 3)
                    continue
                await self._lead(lease_epoch, stop)
            except ChampionChanged as changed:
                _log.info("learner: another champion; beginning again", champion=str(changed))
            except LeaseLost:
                _log.warning("learner: the lease was lost; waiting to lead again")
            except Exception as error:
                # Whatever it was: nothing is kept, so beginning again is safe; the metric and the log tell. The trace
                # is made here: a renderer of exceptions may print local variables, and one of them is the key.
                self._metrics.failures.inc()
                trace = "".join(traceback.format_exception(error))
                _log.error("learner: let go of everything; beginning again", retry_in_s=self._retry_s, trace=trace)
                await _pause(stop, self._retry_s)
                self._retry_s = min(self._retry_s * 2, self._pace.last_retry_s)

    async def _lead(self, lease_epoch: int, stop: asyncio.Event) -> None:
        self._renewed_at = self._world.clock.now()
        self._metrics.leading.set(1)
        self._releasing = self._new_releasing() if self._new_releasing is not None else None
        try:
            found = await self.newest()
            epoch = max(lease_epoch, found.highest_epoch + 1)  # also after a store that lost its epochs
            self._take_over(found)
            ordered = self._releasing.champion if self._releasing is not None else None
            parts = cast(self._plan, ordered, found)
            if parts.gone:
                await self._append([Outgoing(challenger_key(name), b"") for name in parts.gone], lease_epoch)
            reader = self._world.open_scored()
            labels, orders = self._world.open_labels(), self._world.open_control()
            try:
                await orders.start(found.next)
                await self._learn(reader, labels, orders, found, parts, lease_epoch, epoch, stop)
            finally:
                await reader.stop()
                await labels.stop()
                await orders.stop()
                await self._late.end()
                if self._followed is not None:
                    await self._followed.stop()
        finally:
            self._published = None
            self._metrics.standby()
            if self._customers is not None:
                self._customers.standby()
            await self._release(lease_epoch)

    async def newest(self) -> Found:
        """What ``control`` holds. Raises LogSilent."""
        reader = self._world.open_control()
        hear = self._releasing.hear if self._releasing is not None else lambda record: None
        pace, state = self._pace, ControlState(self._key, self._plan.detector, self._space.layout, hear)
        try:
            await reader.start()
            return await state.read(reader, self._world.clock, pace.poll_s, pace.control_silence_s)
        finally:
            await reader.stop()

    def _take_over(self, found: Found) -> None:
        self._published = None
        self._heard_at, self._repeated_at = float("-inf"), self._world.clock.now()
        if found.snapshot is None:
            _log.info("learner: leading, with a new model")
            return
        self._published = _Published([Outgoing(found.key, found.sealed)], found.made_at)
        self._metrics.model(found.snapshot.version)
        _log.info("learner: leading", version=found.snapshot.version, learned=found.snapshot.learned)

    async def _learn(
        self,
        reader: Reader,
        labels: Reader,
        orders: Reader,
        found: Found,
        parts: Cast,
        lease_epoch: int,
        epoch: int,
        stop: asyncio.Event,
    ) -> None:
        # The snapshot says where in `scored` to go on. If that place is gone from the log, the next attempt reads all
        # that is retained: rows already learned are known by their source offsets.
        resumed = parts.resumed
        start = dict(resumed.reading) if resumed and not self._read_all else None
        again, self._read_all = self._read_all, True
        await self._follow_customers(found, again)
        partitions = await reader.start(start)
        known = resumed.labelled if resumed else None
        await labels.start(dict(known.labels) if known else None)
        told = (found.parts.values(), found.told.get("merchants"), parts.rivals, found.told.get("counters"))
        course = Course(parts.plan, self._space, len(partitions), self._metrics, resumed, *told)
        reported = self._releasing.reported if self._releasing is not None else None
        if reported is not None and reported.reference is not None and reported.reference_of == parts.plan.model:
            course.drift.resume(reported.reference)
        if resumed is not None and known is not None:
            await self._recall(course, resumed, known, lease_epoch, stop)
        heard = LabelsRead(labels, None if self._customers is None else self._customers.label_record)
        if self._customers is not None:
            go_on = self._going_on(lease_epoch, stop)
            await self._customers.begin(
                course.reading, go_on, self._pace.poll_s, self._pace.control_silence_s, found.told.get("tags")
            )
        while not stop.is_set():
            poll = await reader.poll(self._pace.poll_s)
            if poll:
                self._read_all, self._retry_s = False, self._pace.first_retry_s
            await self._learn_poll(course, heard, poll, lease_epoch, epoch, stop)
            if not poll:
                await self._hear(course, heard, EVERYTHING_MS, lease_epoch, epoch)
            await self._repeat(course, lease_epoch, epoch)
            await self._hear_orders(orders, parts.plan)
            await self._watch(reader, course)

    async def _follow_customers(self, found: Found, again: bool) -> None:
        self._followed = None
        if (open_events := self._world.open_customer_events) is not None:
            told = found.told.get("customers")
            self._followed = CustomersFollowed(open_events(), self._world.log, self._metrics, told)
            await self._followed.start(again)

    async def _recall(
        self, course: Course, resumed: Snapshot, known: Labelled, lease_epoch: int, stop: asyncio.Event
    ) -> None:
        """Read once more what waited for labels when the snapshot was made, and the labels that still matter."""
        go_on = self._going_on(lease_epoch, stop)
        rows_end = {number: offset + 1 for number, offset in resumed.reading.items()}  # a record may be half learned
        for open_reader, stretch, take in (
            (self._world.open_scored, Stretch(SCORED, known.waiting_from, rows_end), course.recall),
            (self._world.open_labels, Stretch(LABELS, known.labels_from, known.labels), course.recall_label),
        ):
            reader, pace = open_reader(), self._pace
            try:
                await read_again(
                    reader, stretch, take, go_on, self._world.clock, pace.poll_s, pace.control_silence_s
                )  # fmt: skip
            finally:
                await reader.stop()
        course.recalled()

    def _going_on(self, lease_epoch: int, stop: asyncio.Event) -> Callable[[], Awaitable[bool]]:
        """To be asked between the records of a long reading: False when it is to end."""

        async def go_on() -> bool:
            await self._keep_lease(lease_epoch)
            await asyncio.sleep(0)
            return not stop.is_set()

        return go_on

    async def _learn_poll(
        self, course: Course, heard: LabelsRead, poll: Poll, lease_epoch: int, epoch: int, stop: asyncio.Event
    ) -> None:
        await self._keep_lease(lease_epoch)
        for record in in_order(poll):
            if (now := self._world.clock.now()) - self._heard_at >= self._pace.labels_s:
                await self._hear(course, heard, up_to(record.timestamp, now * 1_000), lease_epoch, epoch)
            if self._customers is not None:
                self._customers.take(record)
            for _ in course.learn(record):
                if self._snapshot_due():
                    await self._publish(course, course.snapshot(epoch), lease_epoch)
            await self._keep_lease(lease_epoch)
            await asyncio.sleep(0)  # a long poll must not silence this process's /healthz
            if stop.is_set():
                return

    async def _hear(self, course: Course, heard: LabelsRead, up_to_ms: int, lease_epoch: int, epoch: int) -> None:
        self._heard_at = self._world.clock.now()
        self._late.turn(course)
        await heard.hear(course, up_to_ms)
        if self._followed is not None:
            await self._followed.hear()
        changed = self._changed(course, epoch)
        if self._heard_at - self._told_at >= self._pace.tell_s:
            changed += self._told(course, epoch)
        if changed:
            await self._append(changed, lease_epoch)
        if self._customers is not None and self._customers.due():
            await self._renew(lease_epoch)
            await self._customers.tell()

    async def _hear_orders(self, orders: Reader, plan: Plan) -> None:
        """Raises ChampionChanged."""
        if self._releasing is not None and (now := self._world.clock.now()) - self._orders_at >= self._pace.orders_s:
            self._orders_at = now
            for records in (await orders.poll(0.0)).values():
                for record in records:
                    self._releasing.hear(record)
            ordered = self._releasing.champion
            if ordered not in (None, plan.model) and plan.labels is not None and ordered in plan.labels.challengers:
                raise ChampionChanged(ordered)

    def _changed(self, course: Course, epoch: int) -> list[Outgoing]:
        changed = [seal_part(part, self._key) for part in course.table_changes(epoch)]
        self._metrics.table_parts.inc(len(changed))
        return changed

    def _told(self, course: Course, epoch: int) -> list[Outgoing]:
        self._told_at = self._world.clock.now()
        told = []
        beside = [one.tellings(epoch) for one in (self._followed, self._customers) if one is not None]
        for one in chain(course.told(epoch), *beside):
            told.append(sealed := seal_told(one, self._key))
            self._metrics.told_bytes.labels(one.kind).inc(len(sealed.value))
        return told

    def _snapshot_due(self) -> bool:
        published = self._published
        return published is None or self._world.clock.now() - published.made_at >= self._pace.snapshot_s

    async def _publish(self, course: Course, snapshot: Snapshot, lease_epoch: int) -> None:
        """With what changed in the table: whoever goes on from the snapshot takes that for told."""
        now = self._world.clock.now()
        if self._customers is not None:
            await self._renew(lease_epoch)
            await self._customers.tell_labelled()
        sealed = seal(snapshot, self._key)
        rivals = {made.model: made for made in course.challengers(snapshot)}
        self._metrics.contest(course.contest())
        told = [Outgoing(MODEL_KEY, sealed)]
        if self._releasing is not None:
            report = report_of(now, snapshot, rivals, course)
            told = self._releasing.records(snapshot, sealed, course.sample.rows(), course.reliability(), report)
        told = [*(Outgoing(challenger_key(name), seal(made, self._key)) for name, made in rivals.items()), *told]
        changed = self._changed(course, snapshot.epoch) + self._told(course, snapshot.epoch)
        await self._append([*changed, *told], lease_epoch)
        self._published = _Published(told, now)
        self._metrics.snapshots.inc()
        self._metrics.model(snapshot.version)
        _log.info("learner: model published", version=snapshot.version, learned=snapshot.learned, bytes=len(sealed))

    async def _repeat(self, course: Course, lease_epoch: int, epoch: int) -> None:
        """The newest snapshot and the table once more: for scorers that came late, and over whatever a paused leader
        wrote."""
        now = self._world.clock.now()
        if now - self._repeated_at >= self._pace.repeat_s:
            self._repeated_at = now
            again = [seal_part(part, self._key) for part in course.table(epoch)]
            if self._published is not None:
                again.extend(self._published.told)
            if again:
                await self._append(again, lease_epoch)

    async def _append(self, records: Sequence[Outgoing], lease_epoch: int) -> None:
        """Only as the proven holder of the lease. (A pause between proof and append is what epochs are for.)"""
        await self._renew(lease_epoch)
        await self._world.log.append(CONTROL, {0: records})

    async def _keep_lease(self, lease_epoch: int) -> None:
        if self._world.clock.now() - self._renewed_at >= self._pace.lease_s / 3:
            await self._renew(lease_epoch)

    async def _renew(self, lease_epoch: int) -> None:
        now = self._world.clock.now()
        if not await self._world.lease.renew(LEASE_NAME, lease_epoch, self._pace.lease_s):
            raise LeaseLost
        self._renewed_at = now

    async def _release(self, lease_epoch: int) -> None:
        try:
            await self._world.lease.release(LEASE_NAME, lease_epoch)
        except Exception as error:  # it runs out by itself; what ended the leading matters more
            _log.warning("learner: the lease was not released", error=str(error))

    async def _watch(self, reader: Reader, course: Course) -> None:
        now = self._world.clock.now()
        if self._published is not None:
            self._metrics.model_age.set(max(0.0, now - self._published.made_at))
        if now - self._lag_at >= self._pace.lag_s:
            self._lag_at = now
            for partition, end in (await reader.ends()).items():
                lag = max(0, end - course.reading.get(partition, 0))
                self._metrics.consumer_lag.labels("learner", str(partition)).set(lag)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait ``seconds``, or less if ``stop`` comes."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
