"""The surprise: River's a row at a time and ours by thousands are one; a sample of what came lately, and of nothing else."""

import contextlib
import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import checks

from models import river_surprise
from models.river_surprise import TailSurprise
from models.surprise import CAP, Surprise, SurpriseLearning, SurprisePlan
from models.systematic_sample import CAPACITY, SystematicSample

NAMES = ("b", "a", "c")
WINDOW = 100
PLAN = SurprisePlan(NAMES, (4, 0, 2), WINDOW, horizon_s=5_000.0)


def stream(seed: int, n: int, gap_s: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """``n`` rows of a catalogue of five columns: ties, flags, missing values; and their times."""
    draws = np.random.default_rng(seed)
    matrix = draws.lognormal(1.0 + shift, 1.0, (n, 5))
    matrix[:, 0] = matrix[:, 0].round() * draws.choice([1.0, -1.0], n)
    matrix[:, 4] -= 4.0
    matrix[:, 2] = draws.random(n) < 0.02
    matrix[draws.random((n, 5)) < 0.1] = np.nan
    return matrix, np.cumsum(draws.random(n) * 2 * gap_s)


def learn_all(
    learning: SurpriseLearning, matrix: np.ndarray, times: np.ndarray, sizes: tuple[int, ...] = (997,)
) -> None:
    x, start, turn = PLAN.see(matrix), 0, 0
    while start < len(x):
        end = start + sizes[turn % len(sizes)]
        start += learning.learn(x[start:end], times[start:end])
        turn += 1


def river_taught(matrix: np.ndarray, times: np.ndarray) -> TailSurprise:
    one = TailSurprise(PLAN.horizon_s)
    for row, time in zip(PLAN.see(matrix).tolist(), times.tolist(), strict=True):
        one.learn_one(dict(zip(NAMES, row, strict=True)), t=time)
    return one


@pytest.fixture(scope="module")
def taught() -> tuple[Surprise, TailSurprise]:
    """Of a stream that fills the sample, thins it, and then runs on beyond the horizon."""
    parts = [stream(1, 3_000, 0.1), stream(2, 6_000, 1.0, 0.5), stream(3, 9_000, 2.0, -0.5)]
    matrix = np.concatenate([rows for rows, _ in parts])
    times = np.concatenate([gaps + 10_000.0 * number for number, (_, gaps) in enumerate(parts)])
    learning = PLAN.begin()
    learn_all(learning, matrix, times)
    found = learning.detector()
    assert found.stride > 1
    assert found.times[0] > times[CAPACITY]
    return found, river_taught(matrix, times)


value = st.one_of(
    st.floats(-60, 60, width=32),
    st.integers(-60, 60).map(float),
    st.just(float("nan")),
    st.floats(allow_infinity=True, width=32),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(value, min_size=5, max_size=5), min_size=1, max_size=12))
def test_equals_river_for_any_row(taught: tuple[Surprise, TailSurprise], matrix: list[list[float]]) -> None:
    found, river = taught
    x = found.see(np.array(matrix))
    assert found.score(x).tolist() == [river.score_one(dict(zip(NAMES, row, strict=True))) for row in x.tolist()]


def test_equals_river_on_the_sample_itself(taught: tuple[Surprise, TailSurprise]) -> None:
    found, river = taught
    x = found.rows.astype(np.float64)
    assert found.score(x).tolist() == [river.score_one(dict(zip(NAMES, row, strict=True))) for row in x.tolist()]


@pytest.mark.parametrize("size", [1, 3, 400])
def test_a_score_does_not_depend_on_the_batch(taught: tuple[Surprise, TailSurprise], size: int) -> None:
    found, x = taught[0], taught[0].see(stream(5, 500)[0])
    parts = [score for start in range(0, len(x), size) for score in found.score(x[start : start + size]).tolist()]
    assert parts == found.score(x).tolist()


def test_large_values_surprise_and_nothing_else_does(taught: tuple[Surprise, TailSurprise]) -> None:
    found = taught[0]
    usual, large = np.full((1, 5), -1e9), np.full((1, 5), 1e9)
    nothing = np.full((1, 5), np.nan)
    assert found.score(found.see(usual)) == found.score(found.see(nothing)) == 0
    assert found.score(found.see(large))[0] == 3 * CAP
    tail = np.nanquantile(found.rows[:, 0].astype(float), 0.99)
    one = np.array([[np.nan, np.nan, np.nan, np.nan, tail]])
    assert found.score(found.see(one))[0] == pytest.approx(-np.log(0.01), abs=0.1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=5).map(tuple), st.integers(1, 89))
def test_resumed_at_any_boundary_equals_uninterrupted_however_rows_come(sizes: tuple[int, ...], cut: int) -> None:
    matrix, times = stream(6, 9_000, 1.5)
    whole, begun = PLAN.begin(), PLAN.begin()
    learn_all(whole, matrix, times)
    learn_all(begun, matrix[: cut * WINDOW], times[: cut * WINDOW], sizes)
    resumed = PLAN.resume(Surprise.load(begun.detector().dump()), begun.learned)
    learn_all(resumed, matrix[cut * WINDOW :], times[cut * WINDOW :], sizes)
    now, then = resumed.detector().dump(), whole.detector().dump()
    assert {name: now[name].tobytes() for name in now} == {name: then[name].tobytes() for name in then}
    assert resumed.learned == 9_000


def test_another_plan_is_not_gone_on_from() -> None:
    learning = PLAN.begin()
    learn_all(learning, *stream(7, WINDOW))
    for other in (PLAN._replace(columns=(4, 0, 3)), PLAN._replace(horizon_s=1.0), PLAN._replace(window=50)):
        assert not other.suits(learning.detector())
        with pytest.raises(ValueError, match="surprise of other columns"):
            other.resume(learning.detector(), WINDOW)
    learning.learn(np.zeros((1, 3)), np.zeros(1))
    with pytest.raises(ValueError, match="between windows"):
        learning.detector()


def sampled(times: np.ndarray, horizon_s: float) -> np.ndarray:
    """The numbers of the rows that a sample holds after rows of ``times``."""
    sample = SystematicSample(1, horizon_s)
    sample.add(np.arange(len(times), dtype=float)[:, None], times)
    return sample.rows()[:, 0]


def test_a_busy_bank_and_a_quiet_one_have_a_sample_of_the_same_days() -> None:
    horizon = 30 * 86_400.0
    for a_day in (40, 500, 20_000):
        times = np.arange(90 * a_day) * 86_400.0 / a_day
        numbers = sampled(times, horizon)
        strides = set(np.diff(numbers).tolist())
        back = (times[-1] - times[int(numbers[0])]) / 86_400
        assert len(strides) == 1
        assert CAPACITY // 2 <= len(numbers) <= CAPACITY
        assert 30 <= back <= 62 or a_day * 62 < CAPACITY


@pytest.mark.parametrize("slow", [5_000, 5_001, 7_777])
def test_a_sample_that_slid_is_thinned_to_rows_that_the_new_stride_divides(slow: int) -> None:
    """A quiet time, in which the oldest row makes room one by one, and then a busy one."""
    times = np.concatenate([np.arange(slow) * 100.0, slow * 100.0 + np.arange(20_000) * 0.1])
    numbers = sampled(times, 50_000.0)
    assert numbers[0] >= slow - 2_048
    stride = np.diff(numbers)[0]
    assert stride >= 8
    assert numbers.tolist() == np.arange(numbers[0], numbers[-1] + 1, stride).tolist()
    assert (numbers % stride == 0).all()


def test_what_is_older_than_the_horizon_is_forgotten() -> None:
    before, after = stream(8, 20_000), stream(9, 20_000, shift=3.0)
    times = np.concatenate([before[1], before[1][-1] + after[1]])
    learning = SurprisePlan(NAMES, (4, 0, 2), WINDOW, horizon_s=4_000.0).begin()
    learn_all(learning, np.concatenate([before[0], after[0]]), times)
    found = learning.detector()
    fresh = SurprisePlan(NAMES, (4, 0, 2), WINDOW, horizon_s=4_000.0).begin()
    learn_all(fresh, *after)
    probe = stream(10, 500, shift=3.0)[0]
    assert found.score(found.see(probe)) == pytest.approx(fresh.detector().score(found.see(probe)), rel=0.2, abs=1.0)


def test_rivers_detector_needs_no_time_and_says_nothing_of_what_it_has_not_seen() -> None:
    one = TailSurprise()
    assert one.score_one({"amount": 5.0}) == 0
    for number in range(5_000):
        one.learn_one({"amount": float(number % 1_000)})
    assert one.stride == 4
    assert one.score_one({"amount": 999.0, "new": 1.0}) > one.score_one({"amount": 990.0}) > 4


def test_it_is_a_detector_of_rivers_and_its_example_is_true() -> None:
    passed = 0
    with contextlib.suppress(ModuleNotFoundError):  # the last ones, on data sets, need scikit-learn
        for check in checks.yield_checks(TailSurprise()):
            check(TailSurprise())
            passed += 1
    assert passed >= 10
    assert doctest.testmod(river_surprise) == (0, 4)
