"""The percentile grid: what a score's place among recent scores is, whatever stands beside it in the batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.percentile import LEVELS, Percentile, RecentRows

scores = st.lists(st.floats(0, 1), min_size=1, max_size=300)


def test_a_uniform_sample_gives_back_its_own_ranks() -> None:
    grid = Percentile.from_scores(np.arange(1, 100_001) / 100_000)
    assert grid.of(np.array([0.5, 0.999, 0.9999])) == pytest.approx([50, 99.9, 99.99], abs=1e-3)


def test_below_and_above_everything_seen() -> None:
    grid = Percentile.from_scores(np.linspace(0.2, 0.8, 500))
    assert grid.of(np.array([0.0, 0.19, 0.81, 1.0])).tolist() == [0, 0, 100, 100]


def test_scores_that_are_all_the_same_are_in_the_middle_not_at_the_top() -> None:
    grid = Percentile.from_scores(np.full(50, 0.3))
    assert grid.of(np.array([0.2, 0.3, 0.4])).tolist() == [0, 50, 100]


@settings(deadline=None)
@given(scores, scores)
def test_monotone_within_bounds_and_independent_of_the_batch(sample: list[float], asked: list[float]) -> None:
    grid = Percentile.from_scores(np.array(sample))
    ordered = np.sort(np.array(asked + sample))
    placed = grid.of(ordered)
    assert (np.diff(placed) >= 0).all()
    assert (placed >= 0).all()
    assert (placed <= 100).all()
    assert placed.tolist() == [float(grid.of(ordered[i : i + 1])[0]) for i in range(len(ordered))]


def test_every_level_is_a_score_that_was_seen() -> None:
    sample = np.random.default_rng(1).random(137)
    grid = Percentile.from_scores(sample)
    assert grid.levels.tolist() == list(LEVELS)
    assert set(grid.quantiles.tolist()) <= set(sample.tolist())


@pytest.mark.parametrize(
    ("levels", "quantiles"),
    [([0.0, 100.0], [0.5, 0.4]), ([0.0, 99.0], [0.1, 0.2]), ([0.0, 0.0, 100.0], [0.1, 0.2, 0.3]),
     ([0.0, 100.0], [0.1, float("nan")]), ([0.0, 100.0], [0.1]), ([100.0], [0.1])],
)  # fmt: skip
def test_an_unsound_grid_is_refused(levels: list[float], quantiles: list[float]) -> None:
    with pytest.raises(ValueError, match="percentile grid"):
        Percentile(np.array(levels), np.array(quantiles))


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_recent_rows_are_the_last_ones_added(batches: list[int]) -> None:
    recent, everything = RecentRows(25, 1), [0.0][:0]
    for size in batches:
        new = np.arange(len(everything), len(everything) + size, dtype=np.float64)
        recent.add(new[:, None])
        everything += new.tolist()
        asked: list[float] = []

        def score(rows: np.ndarray) -> np.ndarray:
            asked.extend(rows[:, 0].tolist())  # noqa: B023  # called before the loop goes on
            return rows[:, 0] * 2

        kept = [2 * value for value in everything[-25:]]
        assert sorted(recent.scores(score, steady=True).tolist()) == kept
        assert sorted(asked) == everything[len(everything) - min(size, 25) :], "only those that came since"
        assert sorted(recent.scores(score, steady=False).tolist()) == kept
        assert len(asked) == min(size, 25) + len(kept), "all of them again"
