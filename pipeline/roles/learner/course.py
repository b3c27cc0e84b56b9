"""What the learner has in hand while it leads: the model, how far it has read, and the rows for the percentile grid.

A pure value over time: records in, snapshots out at window boundaries. The same records give the same models, however
often the course was broken off and taken up again from one of its snapshots.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from models.half_space_trees import Shape
from models.learning import Learning
from models.percentile import Percentile, RecentRows
from models.snapshot import Snapshot
from pipeline.core.first_wins import FirstWins
from pipeline.core.scored import Floats, Scored, decode
from pipeline.ports import Record
from pipeline.roles.learner.carry import Carry
from pipeline.roles.learner.metrics import LearnerMetrics


class FeatureSpace(NamedTuple):
    """What a model sees: ``to_unit`` takes features float64[n, F] in catalogue order ``layout`` to float64[n, M] in
    0…1, columns as ``names``."""

    names: tuple[str, ...]
    layout: str
    to_unit: Callable[[Floats], Floats]


class Plan(NamedTuple):
    """How to learn: the model's shape, the most rows per second of log time, the most rows behind a grid."""

    shape: Shape
    max_rate: float
    grid_rows: int


class Course:
    """Learning from ``scored``, one record at a time, from the beginning or from ``resumed``.

    Above ``max_rate`` (divided among ``partitions``) the choice of rows looks back up to one second, which no snapshot
    keeps: there, the first second after a restart may keep other rows than without one."""

    def __init__(
        self, plan: Plan, space: FeatureSpace, partitions: int, metrics: LearnerMetrics, resumed: Snapshot | None
    ) -> None:
        self.reading: dict[int, int] = dict(resumed.reading) if resumed else {}
        self._plan = plan
        self._space = space
        self._metrics = metrics
        self._resumed = resumed
        self._rate = plan.max_rate / max(partitions, 1)
        self._carry: dict[int, Carry] = {}
        self._seen = FirstWins(dict(resumed.positions) if resumed else None)
        self._recent = RecentRows(plan.grid_rows, len(space.names))
        self._as_of = resumed.as_of if resumed else 0.0
        self._boundary: dict[int, int] = {}
        self._learning = (
            Learning.resume(plan.shape, space.names, resumed.trees, resumed.learned)
            if resumed
            else Learning(plan.shape, space.names)
        )

    def learn(self, record: Record) -> Iterator[None]:
        """Learn ``record``, pausing at each window boundary: there, and only there, call `snapshot`. To be run to
        its end. A record that cannot be used is counted and passed over."""
        self.reading[record.partition] = record.offset
        scored = self._read(record)
        if scored is not None:
            yield from self._rows(scored, record.timestamp)
        self.reading[record.partition] = record.offset + 1

    def snapshot(self, epoch: int) -> Snapshot:
        """The model as it is at this boundary. After a restart the grid stays the resumed one until as many rows as
        it was made of have been seen again: a few rows know little of the 99.9th percentile."""
        trees = self._learning.trees()
        resumed = self._resumed
        rows = len(self._recent)
        if resumed and rows < min(resumed.grid_rows, self._plan.grid_rows):
            percentile, rows = resumed.percentile, resumed.grid_rows
        else:
            percentile = Percentile.from_scores(trees.score(self._recent.rows()))
        return Snapshot(
            shape=self._plan.shape,
            layout=self._space.layout,
            names=self._space.names,
            trees=trees,
            percentile=percentile,
            grid_rows=rows,
            learned=self._learning.learned,
            epoch=epoch,
            positions=dict(self._boundary),
            reading=dict(self.reading),
            as_of=self._as_of,
        )

    def _read(self, record: Record) -> Scored | None:
        try:
            scored = decode(record.value or b"")
            if not len(scored.ids) == len(scored.source_offsets()) == len(scored.event_times()):
                raise ValueError("columns of different lengths")
        except (msgspec.DecodeError, ValueError):
            self._metrics.skipped.labels("unreadable").inc()
            return None
        if scored.layout != self._space.layout:
            self._metrics.skipped.labels("layout").inc(len(scored.ids))
            return None
        return scored if scored.ids else None

    def _rows(self, scored: Scored, timestamp_ms: int) -> Iterator[None]:
        partition, ids = scored.partition, scored.ids
        kept = np.array(self._carry.setdefault(partition, Carry(self._rate)).keep(timestamp_ms, ids))
        offsets, times = scored.source_offsets().tolist(), scored.event_times()
        if max(offsets) < self._seen.next.get(partition, 0):
            self._metrics.skipped.labels("repeat").inc(len(offsets))
            return
        unit = self._unit(scored)
        if unit is None:
            self._metrics.skipped.labels("unreadable").inc()
            return
        first = np.array([self._seen.accept(partition, offset) for offset in offsets])
        self._metrics.skipped.labels("repeat").inc(int((~first).sum()))
        self._metrics.skipped.labels("sampled_out").inc(int((first & ~kept).sum()))
        chosen = np.flatnonzero(first & kept)
        start = 0
        while start < len(chosen):
            rest = unit[chosen[start:]]
            learned = self._learning.learn(rest)
            taken = chosen[start : start + learned]
            start += learned
            self._recent.add(rest[:learned])
            self._as_of = max(self._as_of, float(times[taken].max()))  # NaN is never the greater
            self._metrics.learned.inc(learned)
            if self._learning.at_boundary:
                self._boundary = {**self._seen.next, partition: offsets[taken[-1]] + 1}
                yield

    def _unit(self, scored: Scored) -> Floats | None:
        """The rows scaled to 0…1; None when the features are not those of the layout the record names."""
        try:
            unit = self._space.to_unit(scored.matrix())
        except (ValueError, IndexError):
            return None
        return unit if unit.shape == (len(scored.ids), len(self._space.names)) else None
