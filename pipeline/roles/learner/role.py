"""The learner: one process learns from what the scorers saw, and publishes its model for all of them.

Whoever holds the lease leads: finds the newest snapshot on ``control``, reads ``scored`` on from there, and publishes
a signed snapshot at window boundaries. The others wait and keep nothing. On any trouble (broker or store away, lease
lost) the leader lets go of everything and begins again from its newest snapshot: one way to start, tried at every
start. Scorers go on with the snapshot they have.
"""

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from models.snapshot import Snapshot, SnapshotRefused, open_sealed, seal
from pipeline.core.topics import CONTROL, MODEL_KEY
from pipeline.ports import Clock, Lease, Log, Outgoing, Poll, Reader
from pipeline.roles.learner.course import Course, FeatureSpace, Plan
from pipeline.roles.learner.metrics import LearnerMetrics

LEASE_NAME = "learner"

_log = structlog.get_logger(__name__)


class World(NamedTuple):
    """The ports the learner works on. ``open_scored`` and ``open_control`` make a fresh reader each time."""

    open_scored: Callable[[], Reader]
    open_control: Callable[[], Reader]
    log: Log
    lease: Lease
    clock: Clock


class Pace(NamedTuple):
    """How often, in seconds. A lease is renewed at a third of its time; retries double from the first to the last."""

    snapshot_s: float = 30.0
    repeat_s: float = 60.0
    lease_s: float = 15.0
    poll_s: float = 0.5
    lag_s: float = 5.0
    first_retry_s: float = 0.5
    last_retry_s: float = 30.0
    control_silence_s: float = 30.0
    """``control`` not read to its end for so long: begin again rather than learn without what it holds."""


class LeaseLost(Exception):
    """Somebody else may lead now."""


class ControlSilent(Exception):
    """The topic of snapshots could not be read to its end."""


@dataclass
class _Published:
    """The newest snapshot, as it stands on ``control``."""

    sealed: bytes
    made_at: float
    repeated_at: float


class Found(NamedTuple):
    """What ``control`` held: the snapshot to go on from with its blob and time, and the highest epoch of any."""

    snapshot: Snapshot | None
    sealed: bytes
    made_at: float
    highest_epoch: int


class Learner:
    """``key`` signs the snapshots; ``space`` is what the model sees."""

    def __init__(
        self,
        world: World,
        space: FeatureSpace,
        plan: Plan,
        key: bytes,
        metrics: LearnerMetrics,
        pace: Pace | None = None,
    ) -> None:
        self._world = world
        self._space = space
        self._plan = plan
        self._key = key
        self._metrics = metrics
        self._pace = pace or Pace()
        self._retry_s = self._pace.first_retry_s
        self._read_all = False
        self._renewed_at = 0.0
        self._lag_at = 0.0
        self._published: _Published | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or wait to lead, until ``stop``. Raises nothing but cancellation."""
        while not stop.is_set():
            try:
                lease_epoch = await self._world.lease.acquire(LEASE_NAME, self._pace.lease_s)
                if lease_epoch is None:
                    await _pause(stop, self._pace.lease_s / 3)
                    continue
                await self._lead(lease_epoch, stop)
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
        try:
            found = await self.newest()
            epoch = max(lease_epoch, found.highest_epoch + 1)  # also after a store that lost its epochs
            self._take_over(found)
            reader = self._world.open_scored()
            try:
                await self._learn(reader, found.snapshot, lease_epoch, epoch, stop)
            finally:
                await reader.stop()
        finally:
            self._published = None
            self._metrics.standby()
            await self._release(lease_epoch)

    async def newest(self) -> Found:
        """Read ``control`` to its end. Of the snapshots signed with our key that fit this learner's plan and
        features, the one of the highest epoch that learned most. Raises ControlSilent."""
        found = Found(None, b"", 0.0, 0)
        reader = self._world.open_control()
        try:
            await reader.start()
            behind = {partition: end for partition, end in (await reader.ends()).items() if end > 0}
            heard_at = self._world.clock.now()
            while behind:
                poll = await reader.poll(self._pace.poll_s)
                now = self._world.clock.now()
                if poll:
                    heard_at = now
                elif now - heard_at >= self._pace.control_silence_s:
                    raise ControlSilent(
                        f"topic {CONTROL.name}: nothing came, though partitions {sorted(behind)} hold records"
                    )
                found = self._best(found, poll)
                for partition, records in poll.items():
                    if records and records[-1].offset + 1 >= behind.get(partition, 0):
                        behind.pop(partition, None)
        finally:
            await reader.stop()
        return found

    def _best(self, found: Found, poll: Poll) -> Found:
        for record in (record for records in poll.values() for record in records):
            if record.key != MODEL_KEY or not record.value:
                continue
            try:
                snapshot = open_sealed(record.value, self._key)
            except SnapshotRefused as refused:
                _log.warning("learner: a snapshot on control is not used", offset=record.offset, reason=str(refused))
                continue
            found = found._replace(highest_epoch=max(found.highest_epoch, snapshot.epoch))
            mine = (self._plan.shape, self._space.names, self._space.layout)
            if (snapshot.shape, snapshot.names, snapshot.layout) != mine:
                _log.info("learner: a snapshot on control has another shape or features", version=snapshot.version)
                continue
            best = found.snapshot
            if best is None or (snapshot.epoch, snapshot.learned) >= (best.epoch, best.learned):
                found = Found(snapshot, record.value, record.timestamp / 1_000, found.highest_epoch)
        return found

    def _take_over(self, found: Found) -> None:
        self._published = None
        if found.snapshot is None:
            _log.info("learner: leading, with a new model")
            return
        self._published = _Published(found.sealed, found.made_at, self._world.clock.now())
        self._metrics.model(found.snapshot.version)
        _log.info("learner: leading", version=found.snapshot.version, learned=found.snapshot.learned)

    async def _learn(
        self, reader: Reader, resumed: Snapshot | None, lease_epoch: int, epoch: int, stop: asyncio.Event
    ) -> None:
        # The snapshot says where in `scored` to go on. If that place is gone from the log, the next attempt reads all
        # that is retained: rows already learned are known by their source offsets.
        start = dict(resumed.reading) if resumed and not self._read_all else None
        self._read_all = True
        partitions = await reader.start(start)
        course = Course(self._plan, self._space, len(partitions), self._metrics, resumed)
        while not stop.is_set():
            poll = await reader.poll(self._pace.poll_s)
            if poll:
                self._read_all, self._retry_s = False, self._pace.first_retry_s
            await self._learn_poll(course, poll, lease_epoch, epoch, stop)
            await self._repeat(lease_epoch)
            await self._watch(reader, course)

    async def _learn_poll(self, course: Course, poll: Poll, lease_epoch: int, epoch: int, stop: asyncio.Event) -> None:
        await self._keep_lease(lease_epoch)
        for record in (record for records in poll.values() for record in records):
            for _ in course.learn(record):
                if self._snapshot_due():
                    await self._publish(course.snapshot(epoch), lease_epoch)
            await self._keep_lease(lease_epoch)
            await asyncio.sleep(0)  # a long poll must not silence this process's /healthz
            if stop.is_set():
                return

    def _snapshot_due(self) -> bool:
        published = self._published
        return published is None or self._world.clock.now() - published.made_at >= self._pace.snapshot_s

    async def _publish(self, snapshot: Snapshot, lease_epoch: int) -> None:
        now = self._world.clock.now()
        sealed = seal(snapshot, self._key)
        await self._append(sealed, lease_epoch)
        self._published = _Published(sealed, now, now)
        self._metrics.snapshots.inc()
        self._metrics.model(snapshot.version)
        _log.info("learner: model published", version=snapshot.version, learned=snapshot.learned, bytes=len(sealed))

    async def _repeat(self, lease_epoch: int) -> None:
        """The newest snapshot once more: for scorers that came late, and over whatever a paused leader wrote."""
        published, now = self._published, self._world.clock.now()
        if published is not None and now - published.repeated_at >= self._pace.repeat_s:
            await self._append(published.sealed, lease_epoch)
            published.repeated_at = now

    async def _append(self, sealed: bytes, lease_epoch: int) -> None:
        """Only as the proven holder of the lease. (A pause between proof and append is what epochs are for.)"""
        await self._renew(lease_epoch)
        await self._world.log.append(CONTROL, {0: [Outgoing(MODEL_KEY, sealed)]})

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
