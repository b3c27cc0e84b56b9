"""How many records share a poll changes nothing: decisions (``decided_at`` apart), `scored` columns, dead letters and
card rows are equal to the byte, under the delivered policy and a trained model."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorer_world import PARTITIONS, delivered_curve, delivered_money, delivered_policy, place_of, trained

from models.scorer import Model
from pipeline.adapters.memory import StoredRecord
from pipeline.core import scored as scored_record
from pipeline.core.features import LAYOUT, UNIT
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.scoring import score_poll
from pipeline.lab.simulate.stolen_card import StolenCardParameters
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.world import World, WorldParameters

START = 1_790_000_000.0
SIZES = (1, 3, 100, 500)
BAD = (b"", b"{", b"[]", b'{"id":"x","card":"4111111111111111"}', b"\xff")
DECIDED_AT = re.compile(rb'"decided_at":"[^"]*"')


class Arrival(NamedTuple):
    partition: int
    timestamp_ms: int
    key: bytes
    value: bytes


class Outcome(NamedTuple):
    """Everything that comes of a run, in a form to compare."""

    decisions: dict[int, list[tuple[bytes | None, bytes, tuple[tuple[str, bytes], ...]]]]
    scored: dict[int, tuple[list[str], bytes, bytes, bytes, bytes, bytes]]
    refused: list[bytes]
    rows: dict[int, dict[bytes, bytes]]
    outcomes: Counter[str]


@pytest.fixture(scope="module")
def traffic() -> list[Arrival]:
    """Two weeks of 60 cards, with many thieves."""
    world = World(5, 60, START, parameters=WorldParameters(stolen_card=StolenCardParameters(per_card_day=0.02)))
    return [
        Arrival(place_of(attempt.key()), int(attempt.time * 1000), attempt.key(), attempt.value())
        for attempt in Stream(world).history(14)
    ]


@pytest.fixture(scope="module")
def versions(traffic: list[Arrival]) -> Versions:
    curve = delivered_curve()
    before = Versions(delivered_policy(), Model.day_one(LAYOUT, curve), delivered_money())
    matrices = [
        scored_record.decode(record.value).matrix()
        for poll in polls(traffic, [len(traffic)], {number: {} for number in range(PARTITIONS)}, before)
        for batch in poll.scored.values()
        for record in batch
    ]
    snapshot = trained(UNIT.unit(np.concatenate(matrices)))
    return before._replace(model=Model.trained(snapshot, curve))


def polls(
    arrivals: Sequence[Arrival], sizes: Sequence[int], rows: dict[int, dict[bytes, bytes]], versions: Versions
) -> Iterator[ScoredPoll]:
    """The polls that ``arrivals`` make when each takes the next of ``sizes`` (over and over) from what is there."""
    offsets: Counter[int] = Counter()
    feed = iter(arrivals)
    for number, size in enumerate(itertools.cycle(sizes)):
        chunk = list(itertools.islice(feed, size))
        if not chunk:
            return
        parts: dict[int, list[StoredRecord]] = {}
        for each in chunk:
            record = StoredRecord(each.partition, offsets[each.partition], each.timestamp_ms, each.key, each.value)
            parts.setdefault(each.partition, []).append(record)
            offsets[each.partition] += 1
        yield score_poll(
            [Part(partition, records, rows[partition], {}) for partition, records in parts.items()],
            versions,
            place_of,
            START + number,
            lambda: 0.0,
        )


def run(arrivals: Sequence[Arrival], sizes: Sequence[int], versions: Versions) -> Outcome:
    rows: dict[int, dict[bytes, bytes]] = {number: {} for number in range(PARTITIONS)}
    outcome = Outcome({}, {}, [], rows, Counter())
    columns: dict[int, list[scored_record.Scored]] = {}
    for poll in polls(arrivals, sizes, rows, versions):
        for partition, batch in poll.decisions.items():
            outcome.decisions.setdefault(partition, []).extend(
                (each.key, DECIDED_AT.sub(b"", each.value), tuple(each.headers)) for each in batch
            )
        for partition, batch in poll.scored.items():
            columns.setdefault(partition, []).extend(scored_record.decode(each.value) for each in batch)
        outcome.refused.extend(each.value for each in poll.refused)
        outcome.outcomes.update(poll.outcomes)
    for partition, parts in columns.items():
        outcome.scored[partition] = (
            [id_ for part in parts for id_ in part.ids],
            *(
                b"".join(getattr(part, name) for part in parts)
                for name in ("offsets", "features", "raw", "percentile", "score")
            ),
        )  # type: ignore[assignment]
    outcome.refused.sort()
    return outcome


def test_the_traffic_has_something_to_decide(traffic: list[Arrival], versions: Versions) -> None:
    outcomes = run(traffic, [500], versions).outcomes
    assert outcomes["approve"] > 500
    assert outcomes["review"] + outcomes["verify"] + outcomes["hold"] > 5, outcomes


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_decisions_and_rows_are_the_same_for_every_poll_size(
    traffic: list[Arrival], versions: Versions, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(traffic) - 500), label="start")
    arrivals = list(traffic[start : start + 500])
    for place in data.draw(st.lists(st.integers(0, 499), max_size=5), label="repeated"):
        arrivals.append(arrivals[place])
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, 499), st.sampled_from(BAD)), max_size=5), label="bad"
    ):
        arrivals.insert(place, Arrival(place % PARTITIONS, arrivals[place].timestamp_ms, b"", value))
    mixed = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=8), label="mixed sizes")
    whole = run(arrivals, [len(arrivals)], versions)
    assert sum(map(len, whole.decisions.values())) > 450
    for sizes in (*([size] for size in SIZES), mixed):
        assert run(arrivals, sizes, versions) == whole, f"poll sizes {sizes}"
