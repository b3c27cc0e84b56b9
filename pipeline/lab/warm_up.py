"""History into profiles and a first model, without a broker: the very functions that score live traffic.

Records are scored in polls, the learner's own course learns from what that scored, and what remains is what a month of
running would have left behind: card rows by partition, and a model.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from models.calibrate import PriorCurve
from models.scorer import Model
from models.snapshot import Snapshot
from pipeline.adapters.memory import StoredRecord
from pipeline.core.poll import Part, Versions
from pipeline.core.scoring import score_poll
from pipeline.ports import MAX_POLL_RECORDS, Record
from pipeline.roles.learner.course import Course, FeatureSpace, Plan
from pipeline.roles.learner.metrics import LearnerMetrics

SNAPSHOT_WINDOWS = 10
"""A snapshot sorts the scores of many rows: one in so many windows will do."""


class Past(NamedTuple):
    """One transaction of the history: event time (unix seconds), key and value as on the topic."""

    time: float
    key: bytes
    value: bytes


class WarmedUp(NamedTuple):
    """``rows`` partition → card → row; ``snapshot`` None when there were too few transactions for a window."""

    rows: dict[int, dict[bytes, bytes]]
    snapshot: Snapshot | None
    transactions: int
    refused: int


def warm_up(
    history: Iterable[Past],
    versions: Versions,
    curve: PriorCurve,
    partitions: int,
    partition_of: Callable[[bytes], int],
    plan: Plan,
    space: FeatureSpace,
) -> WarmedUp:
    """Score and learn ``history``, in order of time. Nothing of it is kept but rows and model."""
    rows: dict[int, dict[bytes, bytes]] = {number: {} for number in range(partitions)}
    offsets = dict.fromkeys(rows, 0)
    course = Course(plan, space, partitions, LearnerMetrics(CollectorRegistry()), None)
    snapshot: Snapshot | None = None
    places: dict[bytes, int] = {}
    read = refused = scored_offset = windows = 0
    feed = iter(history)
    while chunk := list(itertools.islice(feed, MAX_POLL_RECORDS)):
        read += len(chunk)
        polls: dict[int, list[Record]] = {}
        for past in chunk:
            number = places.get(past.key)
            if number is None:
                number = places[past.key] = partition_of(past.key)
            polls.setdefault(number, []).append(
                StoredRecord(number, offsets[number], int(past.time * 1000), past.key, past.value)
            )
            offsets[number] += 1
        parts = [Part(number, records, rows[number], {}) for number, records in polls.items()]
        scored = score_poll(parts, versions, partition_of, chunk[-1].time, time.perf_counter)
        refused += len(scored.refusals)
        for number, records in scored.scored.items():
            for outgoing in records:
                stored = StoredRecord(number, scored_offset, int(chunk[-1].time * 1000), outgoing.key, outgoing.value)
                scored_offset += 1
                for _ in course.learn(stored):
                    if windows % SNAPSHOT_WINDOWS == 0:
                        snapshot = course.snapshot(epoch=0)
                    windows += 1
        if snapshot is not None:
            versions = versions._replace(model=Model.trained(snapshot, curve))
    return WarmedUp(rows, _without_positions(snapshot), read, refused)


def _without_positions(snapshot: Snapshot | None) -> Snapshot | None:
    """The learner that goes on from it begins with the first live record."""
    return None if snapshot is None else dataclasses.replace(snapshot, positions={}, reading={})


def shares(rows: Mapping[bytes, bytes], most: int) -> Iterable[dict[bytes, bytes]]:
    """``rows`` in pieces of at most ``most``, at least one (empty) piece: a store takes them one save at a time."""
    feed = iter(rows.items())
    first = True
    while (piece := dict(itertools.islice(feed, most))) or first:
        first = False
        yield piece
