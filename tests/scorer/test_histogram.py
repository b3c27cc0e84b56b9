"""A histogram fed by whole polls shows what prometheus_client's own shows, fed one observation at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from pipeline.histogram import BatchHistogram

BOUNDS = (0.001, 0.01, 0.5, 1.0, 2.5, 10.0)
observations = st.lists(
    st.one_of(st.sampled_from(BOUNDS), st.integers(0, 200).map(lambda number: number / 16)), max_size=40
)
"""On the bounds and between them; sixteenths and few bounds, so that a sum is the same in any order but for rounding."""


def exposed(registry: CollectorRegistry) -> dict[str, float]:
    """Series → value, less the time of creation."""
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {series: float(value) for series, value in pairs if "_created" not in series}


@given(st.lists(observations, max_size=5), observations)
def test_it_shows_what_the_library_s_own_shows(polls: list[list[float]], singly: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batch = BatchHistogram(ours, "size", "words", BOUNDS)
    reference = Histogram("size", "words", buckets=BOUNDS, registry=theirs)
    for poll in polls:
        batch.observe_many(np.array(poll, dtype=np.float64))
        for observation in poll:
            reference.observe(observation)
    for observation in singly:
        batch.observe(observation)
        reference.observe(observation)
    assert_equal(exposed(ours), exposed(theirs))


@given(observations, observations)
def test_each_value_of_the_label_has_a_series_of_its_own(first: list[float], second: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batch = BatchHistogram(ours, "seconds", "words", BOUNDS, "stage", ("decode", "advance"))
    reference = Histogram("seconds", "words", ["stage"], buckets=BOUNDS, registry=theirs)
    for stage, values in (("decode", first), ("advance", second)):
        reference.labels(stage)
        batch.observe_many(np.array(values, dtype=np.float64), stage)
        for value in values:
            reference.labels(stage).observe(value)
    assert_equal(exposed(ours), exposed(theirs))


def assert_equal(ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert ours.keys() == theirs.keys()
    for series, value in theirs.items():
        assert abs(ours[series] - value) < 1e-9, series


def test_the_documentation_lines_are_the_library_s() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    BatchHistogram(ours, "size", "words", BOUNDS)
    Histogram("size", "words", buckets=BOUNDS, registry=theirs)

    def comments(registry: CollectorRegistry) -> list[str]:
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if line.startswith("#") and "_created" not in line]

    assert comments(ours) == comments(theirs)
