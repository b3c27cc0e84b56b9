"""What becomes of each snapshot the learner makes: released to the scorers, or withheld because it lies outside the
bank's bands; and the earlier versions that are kept to go back to."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import structlog

from models.bands import Bands, Measured, Reliability, judge
from models.envelope import SealBroken
from models.scorer import Floats, Model
from models.snapshot import Snapshot, SnapshotRefused, open_sealed
from pipeline.core.model_report import Crossing, Judged, ModelTold, Report, open_report, seal_report
from pipeline.core.model_shelf import ModelShelf
from pipeline.core.topics import (
    MODEL_KEY,
    MODEL_ORDER_KEY,
    MODEL_REPORT_KEY,
    MODEL_WITHHELD_KEY,
    Outgoing,
    Record,
    is_kept_key,
    kept_key,
)
from pipeline.roles.learner.course import Course
from pipeline.roles.learner.metrics import LearnerMetrics

KEPT_EVERY_S = (600.0, 3_600.0, 86_400.0, 604_800.0)
"""A version is kept every ten minutes; of those that it displaces one an hour, of those one a day, of those one a week: so
there is always one of before the trouble, whenever that is noticed."""

BEYOND = 1e9
"""Told for what cannot be measured: outside every band."""

_log = structlog.get_logger(__name__)


class ReleasePlan(NamedTuple):
    """``thresholds``: the scores from which the policy acts, now; ``made`` a model of a snapshot (raises ValueError)."""

    bands: Bands
    thresholds: Callable[[], Sequence[float]]
    made: Callable[[Snapshot], Model]


@dataclass
class _Kept:
    """``at``: when it was put into its slot, unix seconds."""

    sealed: bytes
    at: float


class Releasing:
    """For one term of leading: first `hear` what `control` holds."""

    def __init__(self, plan: ReleasePlan, key: bytes, metrics: LearnerMetrics) -> None:
        self._plan = plan
        self._key = key
        self._metrics = metrics
        self._shelf = ModelShelf(key, plan.made)
        self._live: bytes | None = None
        self._kept: dict[bytes, _Kept] = {}
        self.judged: Judged | None = None
        self.reported: Report | None = None
        """What a learner told last."""

    def hear(self, record: Record) -> None:
        """A record of `control`. What is not genuine is passed over."""
        if not record.value or not record.key:
            return
        try:
            if record.key == MODEL_KEY:
                self._shelf.take_model(record.value)
                self._live = record.value
            elif record.key == MODEL_ORDER_KEY:
                self._shelf.take_order(record.value)
            elif record.key == MODEL_REPORT_KEY:
                self.reported = open_report(record.value, self._key)
            elif is_kept_key(record.key):
                open_sealed(record.value, self._key)
                self._kept[record.key] = _Kept(record.value, record.timestamp / 1_000)
        except (SnapshotRefused, SealBroken, ValueError) as refused:
            _log.warning("learner: a record on control is not used", offset=record.offset, reason=str(refused))

    @property
    def champion(self) -> str | None:
        """The model of which people ordered a version; None: no order was ever given."""
        order = self._shelf.release.order
        return None if order is None else order.version.model

    def records(
        self, snapshot: Snapshot, sealed: bytes, sample: Floats, reliability: Reliability, told: Report
    ) -> list[Outgoing]:
        """What is to be told of ``snapshot``, and goes on being told until there is another. ``sample`` recent rows
        float64[n, C], ``reliability`` of its classifier; ``told`` the report, but for what is judged here."""
        measured = self._measure(snapshot, sample, reliability)
        outside = [Crossing(one.band, _told(one.value), one.limit) for one in measured.outside]
        figures = {name: _told(value) for name, value in measured.figures.items()}
        self.judged = Judged(snapshot.version, outside, figures)
        self._metrics.judged([one.band for one in outside])
        made = [seal_report(msgspec.structs.replace(told, judged=self.judged), self._key)]
        if outside:
            words = "; ".join(f"{one.band} {one.value:.3g}, limit {one.limit:g}" for one in outside)
            _log.error("learner: model withheld, the one before stays", version=snapshot.version, outside=words)
            live = [] if self._live is None else [Outgoing(MODEL_KEY, self._live)]
            return [Outgoing(MODEL_WITHHELD_KEY, sealed), *live, *made]
        before, self._live = self._live, sealed
        self._shelf.take_model(sealed)
        return [Outgoing(MODEL_KEY, sealed), *made, *self._keep(before, told.at)]

    def _measure(self, snapshot: Snapshot, sample: Floats, reliability: Reliability) -> Measured:
        plan = self._plan
        if not len(sample):
            return Measured({}, ())
        before = self._shelf.in_force
        scores = plan.made(snapshot).scores(sample).score
        return judge(
            plan.bands,
            plan.thresholds(),
            scores,
            None if before is None else before.scores(sample).score,
            before is not None and before.snapshot is not None and all(map(self._grown, (snapshot, before.snapshot))),
            reliability if snapshot.qualified else Reliability(None, None),
        )

    def _grown(self, snapshot: Snapshot) -> bool:
        labelled = snapshot.labelled
        if labelled is None or not snapshot.qualified:
            return False
        return labelled.progress.frauds + labelled.progress.genuine >= self._plan.bands.labelled_rows

    def _keep(self, before: bytes | None, now: float) -> list[Outgoing]:
        """``before`` was live until now: keep it where a slot is due, and what it displaces in the next."""
        made: list[Outgoing] = []
        for slot, every_s in enumerate(KEPT_EVERY_S, 1):
            key = kept_key(slot)
            there = self._kept.get(key)
            if before is None or (there is not None and now - there.at < every_s):
                break
            self._kept[key] = _Kept(before, now)
            made.append(Outgoing(key, before))
            before = None if there is None else there.sealed
        return made


def _told(value: float) -> float:
    """JSON has no infinity, and none of what is no number."""
    return value if math.isfinite(value) else BEYOND


def report_of(now: float, champion: Snapshot, rivals: Mapping[str, Snapshot], course: Course) -> Report:
    """What the learner tells people, but for how the champion lies to the bands."""
    versions = {champion.model: champion.version, **{name: made.version for name, made in rivals.items()}}
    models = [
        ModelTold(
            one.name,
            one.name == champion.model,
            versions[one.name],
            int(one.progress.frauds + one.progress.genuine),
            one.progress.loss / one.progress.weight if one.progress.weight else None,
            one.average_precision,
        )
        for one in course.contest()
    ]
    return Report(now, None, models, course.drift.indices(), course.drift.keep(), champion.model)
