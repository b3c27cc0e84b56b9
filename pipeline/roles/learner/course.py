"""What the learner has in hand while it leads: the model, how far it has read, and the rows for the percentile grid.

A pure value over time: records in, snapshots out at window boundaries. The same records give the same models, however
often the course was broken off and taken up again from one of its snapshots.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.bands import Reliability
from models.detector import DetectorPlan
from models.drift import ColumnDrift
from models.percentile import Percentile, RecentRows
from models.recent import RowSample
from models.snapshot import CHAMPION, Labelled, Snapshot
from pipeline.core.entity_ledger import EntityLedger
from pipeline.core.entity_table import Bucket
from pipeline.core.first_wins import FirstWins
from pipeline.core.records import Label
from pipeline.core.scored import Floats, Scored, decode
from pipeline.core.told import Gathered, Told
from pipeline.core.transaction import Refused
from pipeline.ports import Record
from pipeline.ports_archive import PastRow
from pipeline.roles.learner.arrival import Arrival, arrived
from pipeline.roles.learner.carry import Carry
from pipeline.roles.learner.counters_followed import CountersFollowed
from pipeline.roles.learner.labelled import LabelledLearning, LabelPlan
from pipeline.roles.learner.late import Wanted
from pipeline.roles.learner.merchants import MerchantsFollowed
from pipeline.roles.learner.metrics import SCORES, LearnerMetrics, Standing

_label_decoder = msgspec.json.Decoder(Label)


class FeatureSpace(NamedTuple):
    """The catalogue: its number of ``columns``, its fingerprint ``layout``."""

    columns: int
    layout: str


class Plan(NamedTuple):
    """How to learn: what is learned without labels, the most rows per second of log time, the most rows behind a grid, how
    to learn from labels (None: not), whether to follow merchants (features are then those of the catalogue) and the bank's counters per entity, what the
    champion is called, the names of the features whose drift is told."""

    detector: DetectorPlan
    max_rate: float
    grid_rows: int
    labels: LabelPlan | None = None
    merchants: bool = False
    model: str = CHAMPION
    features: tuple[str, ...] = ()


class Course:
    """Learning from ``scored`` and ``labels``, one record at a time, from the beginning or from ``resumed`` and the
    ``parts`` of the table of entities, ``merchants`` and ``counters`` told last. After the latter, first `recall` and `recall_label` the records from
    `recall_from` up to where reading goes on, then say `recalled`.

    Above ``max_rate`` (divided among ``partitions``) the choice of rows looks back up to one second, which no snapshot
    keeps: there, the first second after a restart may keep other rows than without one."""

    def __init__(
        self,
        plan: Plan,
        space: FeatureSpace,
        partitions: int,
        metrics: LearnerMetrics,
        resumed: Snapshot | None,
        parts: Iterable[Bucket] = (),
        merchants: Gathered | None = None,
        rivals: Mapping[str, Labelled] | None = None,
        counters: Gathered | None = None,
    ) -> None:
        self.reading: dict[int, int] = dict(resumed.reading) if resumed else {}
        self._plan = plan
        self._space = space
        self._metrics = metrics
        self._resumed = resumed
        self._rate = plan.max_rate / max(partitions, 1)
        self._carry: dict[int, Carry] = {}
        self._seen = FirstWins(dict(resumed.positions) if resumed else None)
        self._recent = RecentRows(plan.grid_rows, len(plan.detector.names))
        self._as_of = resumed.as_of if resumed else 0.0
        self._boundary: dict[int, int] = {}
        self._recalled = FirstWins()
        self._recalling: dict[int, Carry] = {}
        self._learning = plan.detector.resume(resumed.detector, resumed.learned) if resumed else plan.detector.begin()
        self.sample = RowSample()
        self.drift = ColumnDrift((*SCORES, *(f"feature:{name}" for name in plan.features)))
        self.labelled: LabelledLearning | None = None
        if plan.labels is not None:
            told = resumed.labelled if resumed else None
            self.labelled = LabelledLearning(plan.labels, EntityLedger(parts), metrics, told, self._as_of, rivals)
        self.merchants = MerchantsFollowed(merchants) if plan.merchants else None
        self.counters = CountersFollowed(counters) if plan.merchants else None

    def learn(self, record: Record, scored: Scored | None = None) -> Iterator[None]:
        """Learn ``record``, pausing at each window boundary: there, and only there, call `snapshot`. To be run to
        its end. A record that cannot be used is counted and passed over. ``scored``: what it says, for who wrote it."""
        self.reading[record.partition] = record.offset
        scored = self._read(record) if scored is None else scored
        if scored is not None:
            yield from self._rows(scored, record)
        self.reading[record.partition] = record.offset + 1

    def snapshot(self, epoch: int) -> Snapshot:
        """The model as it is at this boundary. After a restart the grid stays the resumed one until as many rows as
        it was made of have been seen again: a few rows know little of the 99.9th percentile."""
        detector = self._learning.detector()
        resumed = self._resumed
        rows = len(self._recent)
        if resumed and rows < min(resumed.grid_rows, self._plan.grid_rows):
            percentile, rows = resumed.percentile, resumed.grid_rows
        else:
            percentile = Percentile.from_scores(self._recent.scores(detector.score, detector.steady))
        return Snapshot(
            layout=self._space.layout,
            names=self._plan.detector.names,
            detector=detector,
            percentile=percentile,
            grid_rows=rows,
            learned=self._learning.learned,
            epoch=epoch,
            positions=dict(self._boundary),
            reading=dict(self.reading),
            as_of=self._as_of,
            labelled=None if self.labelled is None else self.labelled.part(),
            model=self._plan.model,
        )

    def challengers(self, champion: Snapshot) -> Iterator[Snapshot]:
        """Each challenger as it is where ``champion`` is the snapshot, whose trees and percentiles it shares."""
        labels = self._plan.labels
        if labels is not None and self.labelled is not None:
            for name, part in self.labelled.rivals.parts().items():
                yield replace(champion, model=name, labelled=part, share=labels.challengers[name].share)

    def reliability(self) -> Reliability:
        """Of what the classifier told of recent labelled rows before it learned them."""
        return Reliability(None, None) if self.labelled is None else self.labelled.told.reliability()

    def contest(self) -> list[Standing]:
        """The champion first, then the challengers: how each did on the same labelled rows, before it learned them."""
        if self.labelled is None:
            return []
        told = {self._plan.model: (self.labelled.progress, self.labelled.told), **self.labelled.rivals.told()}
        return [Standing(name, progress, rows.average_precision()) for name, (progress, rows) in told.items()]

    def label_records(self, records: Iterable[Record]) -> None:
        """Take in what records of ``labels`` say, in their order. One that cannot be used is counted and passed over."""
        if self.labelled is not None:
            for record in records:
                self._label(record, self.labelled.note)
                self.labelled.reading[record.partition] = record.offset + 1
            self.labelled.learn_noted()

    def label_record(self, record: Record) -> None:
        """Take in what one record of ``labels`` says."""
        self.label_records((record,))

    def label(self, label: Label) -> None:
        """Take in ``label``, which stands in no log. Raises Refused when it has no time."""
        self.labels((label,))

    def labels(self, labels: Iterable[Label]) -> None:
        """Take in ``labels`` in their order, which stand in no log. Raises Refused at one that has no time."""
        if self.labelled is not None:
            try:
                for label in labels:
                    self.labelled.note(label)
            finally:
                self.labelled.learn_noted()

    # --- labels that come late

    @property
    def full(self) -> bool:
        """Whether no further label should be taken in for now: too many wait for their row."""
        return self.labelled is not None and self.labelled.full

    def wanted(self) -> dict[int, Wanted]:
        """Rows that labels wait for and the archive has, by the digest of their id."""
        return {} if self.labelled is None else self.labelled.wanted()

    def fetched(self, rows: Mapping[int, PastRow | None]) -> None:
        """These are the rows that were wanted. What `scored` still has to bring is left to it."""
        if self.labelled is not None:
            self.labelled.fetched({key: self._usable(row) for key, row in rows.items()})

    def _usable(self, row: PastRow | None) -> PastRow | None:
        result = "found"
        if row is None:
            result = "not_archived"
        elif row.offset >= self._seen.next.get(row.partition, 0):
            result = "to_come"
        elif row.layout != self._space.layout:
            result = "other_features"
        self._metrics.late.labels(result).inc()
        return row if result == "found" else None

    # --- the table of entities

    def table_changes(self, epoch: int) -> Iterator[Bucket]:
        """The parts of the table of entities that changed since they were asked for last."""
        if self.labelled is not None:
            self._metrics.table_entities.set(len(self.labelled.ledger))
            yield from self.labelled.ledger.changed(epoch, self.reading, self.labelled.reading)

    def entity_changes(self) -> Iterator[tuple[int, int, bytes | None]]:
        """The same by entity, for a table in this process: number of its kind, digest, row (None: gone)."""
        if self.labelled is not None:
            yield from self.labelled.ledger.changed_rows()

    def table(self, epoch: int) -> Iterator[Bucket]:
        """All other parts that say something."""
        if self.labelled is not None:
            yield from self.labelled.ledger.filled(epoch, self.reading, self.labelled.reading)

    def told(self, epoch: int) -> Iterator[Told]:
        """What is to be told of merchants, and of the bank's counters, since it was asked for last."""
        if self.merchants is not None:
            self._metrics.knows("merchants", len(self.merchants.ledger))
            yield from self.merchants.tellings(epoch)
        if self.counters is not None:
            self._metrics.knows("counters", len(self.counters.ledger))
            yield from self.counters.tellings(epoch)

    # --- after a restart

    def recall(self, record: Record) -> None:
        """Keep the rows of ``record`` that were learned of already, for their labels."""
        scored = self._read(record)
        if scored is None or self.labelled is None:
            return
        kept = self._recalling.setdefault(scored.partition, Carry(self._rate)).keep(record.timestamp, scored.ids)
        end = self._seen.next.get(scored.partition, 0)
        chosen = [
            row
            for row, (offset, keep) in enumerate(zip(scored.source_offsets().tolist(), kept, strict=True))
            if offset < end and self._recalled.accept(scored.partition, offset) and keep
        ]
        if chosen:
            self.labelled.recall(arrived(scored, np.array(chosen)), record.partition, record.offset)

    def recall_label(self, record: Record) -> None:
        """Know what ``record`` says, of which all was learned."""
        if self.labelled is not None:
            self._label(record, self.labelled.recall_label)

    def recalled(self) -> None:
        """All is here again that is needed to go on."""
        if self.labelled is not None:
            self.labelled.recalled()

    def _label(self, record: Record, take: Callable[[Label, tuple[int, int]], None]) -> None:
        try:
            take(_label_decoder.decode(record.value or b""), (record.partition, record.offset))
        except (msgspec.DecodeError, Refused):
            self._metrics.bad_labels.inc()

    def _read(self, record: Record) -> Scored | None:
        try:
            scored = decode(record.value or b"")
            scored.check()
        except (msgspec.DecodeError, ValueError):
            self._metrics.skipped.labels("unreadable").inc()
            return None
        if scored.layout != self._space.layout:
            self._metrics.skipped.labels("layout").inc(len(scored.ids))
            return None
        return scored if scored.ids else None

    def _rows(self, scored: Scored, record: Record) -> Iterator[None]:
        partition, ids = scored.partition, scored.ids
        kept = np.array(self._carry.setdefault(partition, Carry(self._rate)).keep(record.timestamp, ids))
        offsets, times = scored.source_offsets().tolist(), scored.event_times()
        if max(offsets) < self._seen.next.get(partition, 0):
            self._metrics.skipped.labels("repeat").inc(len(offsets))
            return
        seen = self._look(scored)
        if seen is None:
            self._metrics.skipped.labels("unreadable").inc()
            return
        first = np.array([self._seen.accept(partition, offset) for offset in offsets])
        if not (first & kept).all():
            self._metrics.skipped.labels("repeat").inc(int((~first).sum()))
            self._metrics.skipped.labels("sampled_out").inc(int((first & ~kept).sum()))
        if self.merchants is not None:
            self.merchants.scored(scored, first, record.partition, record.offset)
        if self.counters is not None:
            self.counters.scored(scored, first, record)
        chosen = np.flatnonzero(first & kept)
        self.sample.add(scored.matrix()[chosen])
        self._measure_drift(scored, chosen)
        arrival = Arrival(self.labelled, scored, chosen, record)
        fraud = np.zeros(len(ids), dtype=np.bool_)
        fraud[chosen] = arrival.frauds
        if fraud.any():
            self._metrics.skipped.labels("fraud").inc(int(fraud.sum()))
        usual = chosen[~fraud[chosen]]
        start = 0
        while start < len(usual):
            rest = seen[usual[start:]]
            learned = self._learning.learn(rest, times[usual[start:]])
            taken = usual[start : start + learned]
            start += learned
            self._recent.add(rest[:learned])
            self._as_of = max(self._as_of, float(times[taken].max()))  # NaN is never the greater
            self._metrics.learned.inc(learned)
            arrival.up_to(int(taken[-1]))
            if self._learning.at_boundary:
                self._boundary = {**self._seen.next, partition: offsets[taken[-1]] + 1}
                yield
        arrival.up_to(len(ids))

    def _measure_drift(self, scored: Scored, chosen: NDArray[np.intp]) -> None:
        columns = np.empty((len(chosen), 2 + len(self._plan.features)))
        columns[:, 0], columns[:, 1] = scored.percentiles()[chosen], scored.scores()[chosen]
        columns[:, 2:] = scored.matrix()[chosen, : len(self._plan.features)]
        if self.drift.add(columns, self._as_of):
            for name, value in self.drift.indices().items():
                self._metrics.drift.labels(name).set(value)

    def _look(self, scored: Scored) -> Floats | None:
        """What the detector looks at of the rows; None when the features are not those of the layout the record names."""
        try:
            matrix = scored.matrix()
        except ValueError:
            return None
        return self._plan.detector.see(matrix) if matrix.shape[1] == self._space.columns else None
