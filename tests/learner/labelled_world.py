"""A course that learns from labels, and what it is fed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from learner_world import PLAN, SPACE, Entry, features, scored
from prometheus_client import CollectorRegistry

from models.river_logistic import Logistic
from models.snapshot import Snapshot
from pipeline.core.entities import digest_of
from pipeline.core.entity_table import Bucket
from pipeline.core.records import Label
from pipeline.core.scored import decode, encode
from pipeline.roles.learner.course import Course, Plan
from pipeline.roles.learner.labelled import LabelPlan
from pipeline.roles.learner.metrics import LearnerMetrics

SCALES = np.tile([0.0, 0.0, 10.0, 0.5], (4, 1))
LABELS = LabelPlan(
    lambda: Logistic(SCALES, 1), 4, lambda percentile: np.full(len(percentile), 0.01),
    keep_s=10_000.0, maturity_s=None, unlabelled_weight=0.5, most_bytes=1_000_000_000,
)  # fmt: skip
LABELLED = PLAN._replace(labels=LABELS)


def label(number: int, fraud: bool | None = True, source: str = "cardholder", **more: Any) -> Label:
    """Of the row of this source offset, said at the event time 10,000 s."""
    said = {"time": datetime.fromtimestamp(10_000, UTC).isoformat(), "card": "tok_00000000"} | more
    return Label(transaction=f"t0-{number}", fraud=fraud, source=source, **said)  # type: ignore[arg-type]


def row_record(
    first: int, count: int, offset: int, seed: int = 1, terminals: Sequence[str] = (), percentile: float = 50.0
) -> Entry:
    """``count`` rows from source offset ``first`` on, as the record at ``offset`` of `scored`. Their event times are their
    source offsets."""
    record = decode(scored(features(seed, first + count)[first:], first))
    named = [digest_of(terminals[n % len(terminals)]) if terminals else 0 for n in range(first, first + count)]
    record = msgspec.structs.replace(
        record,
        terminals=np.array(named, dtype="<u8").tobytes(),
        percentile=np.full(count, percentile).tobytes(),
    )
    return Entry(0, offset, first, b"0", encode(record))


def label_entry(said: Label, offset: int, timestamp: int = 0) -> Entry:
    return Entry(0, offset, timestamp, said.card.encode(), msgspec.json.encode(said))


def course(
    plan: Plan = LABELLED, resumed: Snapshot | None = None, parts: Sequence[Bucket] = ()
) -> tuple[Course, CollectorRegistry]:
    registry = CollectorRegistry()
    return Course(plan, SPACE, 1, LearnerMetrics(registry), resumed, parts), registry


def learn(course: Course, record: Entry) -> list[Snapshot]:
    """The snapshots at the boundaries in ``record``."""
    return [course.snapshot(1) for _ in course.learn(record)]


def numbers(course: Course) -> dict[str, list[float]]:
    """The classifier, to the bit."""
    assert course.labelled is not None
    return {name: column.tolist() for name, column in course.labelled.classifier.dump().items()}
