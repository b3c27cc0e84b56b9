"""A log, a lease and a clock in memory, and learners on them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import CollectorRegistry

from models.half_space_trees import Shape
from models.learning import Learning
from models.scaling import Scaling
from models.snapshot import Snapshot, open_sealed
from models.surprise import SurprisePlan
from models.trees_detector import TreesDetector, TreesPlan
from pipeline.core.scored import Scored, encode
from pipeline.core.topics import CONTROL, LABELS, SCORED, Topic
from pipeline.ports import Outgoing, Poll
from pipeline.ports_archive import Past
from pipeline.roles.learner.course import FeatureSpace, Plan
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.role import Learner
from pipeline.roles.learner.world import Pace, World

KEY = b"a key of sixteen bytes or more"
SPACE = FeatureSpace(4, "layout-1")
NAMES = ("night", "amount", "distance")
SEEN = Scaling.of(range(3), [[0, 0, 10, 0.5]] * 3)
SHAPE = Shape(trees=4, height=4, window=50, seed=3)
PLAN = Plan(TreesPlan(SHAPE, NAMES, SEEN), max_rate=1e9, grid_rows=1_000)
SURPRISE = PLAN._replace(detector=SurprisePlan(NAMES, range(3), window=50))


@dataclass
class Clock:
    time: float = 1_000_000.0

    def now(self) -> float:
        return self.time


@dataclass(frozen=True)
class Entry:
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class MemoryLog:
    clock: Clock
    partitions: int = 1
    entries: dict[tuple[str, int], list[Entry]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    """Raised by the next appends, one each."""

    def of(self, topic: Topic, partition: int = 0) -> list[Entry]:
        return self.entries.setdefault((topic.name, partition), [])

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        for partition, batch in batches.items():
            for out in batch:
                self.put(topic, out.value, partition, out.key, out.headers)

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        await self.append(topic, {0: list(records)})

    def put(
        self,
        topic: Topic,
        value: bytes | None,
        partition: int = 0,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        entries = self.of(topic, partition)
        entries.append(Entry(partition, len(entries), int(self.clock.time * 1_000), key, value, headers))

    def snapshots(self) -> list[Snapshot]:
        return [open_sealed(entry.value or b"", KEY) for entry in self.of(CONTROL)]


@dataclass
class MemoryReader:
    log: MemoryLog
    topic: Topic
    idle: Callable[[], None] = lambda: None
    retained_from: int = 0
    positions: dict[int, int] = field(default_factory=dict)

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        numbers = range(self.topic.partitions or self.log.partitions)
        self.positions = {number: (positions or {}).get(number, self.retained_from) for number in numbers}
        if min(self.positions.values()) < self.retained_from:
            raise LookupError("offset out of range")
        return list(numbers)

    async def ends(self) -> dict[int, int]:
        return {number: len(self.log.of(self.topic, number)) for number in self.positions}

    async def poll(self, timeout_s: float) -> Poll:
        await asyncio.sleep(0)
        poll = {n: self.log.of(self.topic, n)[position : position + 3] for n, position in self.positions.items()}
        poll = {number: entries for number, entries in poll.items() if entries}
        for number, entries in poll.items():
            self.positions[number] = entries[-1].offset + 1
        if not poll:
            self.idle()
        return poll

    async def stop(self) -> None:
        self.positions = {}


@dataclass
class MemoryLease:
    clock: Clock
    epoch: int = 0
    until: float = 0.0
    asked: int = 0
    asked_again: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)

    async def asked_times(self, times: int) -> None:
        async with asyncio.timeout(5):
            while self.asked < times:
                self.asked_again.clear()
                await self.asked_again.wait()

    async def acquire(self, name: str, ttl_s: float) -> int | None:
        self.asked += 1
        self.asked_again.set()
        if self.failures:
            raise self.failures.pop(0)
        if self.clock.time < self.until:
            return None
        self.epoch, self.until = self.epoch + 1, self.clock.time + ttl_s
        return self.epoch

    async def renew(self, name: str, epoch: int, ttl_s: float) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        if epoch != self.epoch or self.clock.time >= self.until:
            return False
        self.until = self.clock.time + ttl_s
        return True

    async def release(self, name: str, epoch: int) -> None:
        if epoch == self.epoch:
            self.until = 0.0


PACE = Pace(
    snapshot_s=0.0, repeat_s=60.0, lease_s=0.03, poll_s=0.0, lag_s=0.0, first_retry_s=0.0, control_silence_s=0.0
)


@dataclass
class Bank:
    """Everything a learner needs, shared by as many learners as a test starts."""

    partitions: int = 1
    plan: Plan = PLAN
    pace: Pace = PACE
    space: FeatureSpace = SPACE
    key: bytes = KEY
    retained_from: int = 0
    past: Past | None = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.log = MemoryLog(self.clock, self.partitions)
        self.lease = MemoryLease(self.clock)
        self.readers: list[MemoryReader] = []

    def learner(self, idle: Callable[[], None]) -> tuple[Learner, CollectorRegistry]:
        def scored() -> MemoryReader:
            self.readers.append(MemoryReader(self.log, SCORED, idle, self.retained_from))
            return self.readers[-1]

        world = World(
            scored,
            lambda: MemoryReader(self.log, CONTROL),
            self.log,
            self.lease,
            self.clock,
            lambda: MemoryReader(self.log, LABELS),
            self.past,
        )
        registry = CollectorRegistry()
        return Learner(world, self.space, self.plan, self.key, LearnerMetrics(registry), self.pace), registry

    async def until_idle(self, until: Callable[[dict[str, float]], bool] = lambda figures: True) -> dict[str, float]:
        """One learner, from its start until it has read everything and ``until`` holds of its metrics, stopped in good
        order. Its metrics while it still led: ``name/label/…`` → value."""
        stop = asyncio.Event()
        figures: list[dict[str, float]] = []

        def idle() -> None:
            figures.append(figures_of(registry))
            if len(figures) >= 2 and until(figures[-1]):
                stop.set()

        learner, registry = self.learner(idle)
        await asyncio.wait_for(learner.run(stop), 20)
        assert figures_of(registry)["cardwatch_learner_leading"] == 0
        return figures[-1]

    async def killed_when_idle(self) -> None:
        """As `until_idle`, but killed: what it did not publish is gone, and its lease only runs out."""
        read_all = asyncio.Event()
        learner, _ = self.learner(read_all.set)
        task = asyncio.create_task(learner.run(asyncio.Event()))
        await asyncio.wait_for(read_all.wait(), 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.clock.time += self.pace.lease_s


def figures_of(registry: CollectorRegistry) -> dict[str, float]:
    return {
        "/".join((sample.name, *sample.labels.values())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def features(seed: int, n: int) -> np.ndarray:
    """float64[n, 4], catalogue features 0…10; the model uses the first three."""
    return np.random.default_rng(seed).beta(2, 5, (n, 4)) * 10


def scored(matrix: np.ndarray, first_offset: int, partition: int = 0, layout: str = SPACE.layout) -> bytes:
    n = len(matrix)
    offsets = np.arange(first_offset, first_offset + n, dtype="<i8")
    zeros = np.zeros(n).tobytes()
    return encode(
        Scored(
            partition=partition, layout=layout, policy_version="p", model_version="m",
            ids=[f"t{partition}-{o}" for o in offsets], cards=["tok_00000000"] * n,
            offsets=offsets.tobytes(), times=(offsets * 1.0).tobytes(),
            features=np.ascontiguousarray(matrix).tobytes(), raw=zeros, percentile=zeros, score=zeros,
            terminals=zeros, merchants=zeros, customers=zeros,
        )
    )  # fmt: skip


def put_rows(log: MemoryLog, matrix: np.ndarray, size: int = 17, first: int = 0, partition: int = 0) -> None:
    """``matrix`` as records of ``size`` rows, source offsets from ``first`` on."""
    for start in range(0, len(matrix), size):
        log.put(SCORED, scored(matrix[start : start + size], first + start, partition), partition)


def taught(matrix: np.ndarray, plan: Plan = PLAN) -> Learning:
    """River taught directly, up to the last whole window: what a learner must come to."""
    assert isinstance(plan.detector, TreesPlan)
    learning, window = Learning(plan.detector.shape, NAMES), plan.detector.window
    unit = SEEN.unit(matrix[: len(matrix) // window * window])
    while len(unit):
        unit = unit[learning.learn(unit) :]
    return learning


def masses(snapshot: Snapshot) -> np.ndarray:
    """What the trees of ``snapshot`` counted."""
    assert isinstance(snapshot.detector, TreesDetector)
    return snapshot.detector.trees.masses
