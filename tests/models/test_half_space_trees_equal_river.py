"""The NumPy scorer gives River's score_one to the last bit, for rows of any kind in batches of any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.half_space_trees import ROWS_AT_ONCE, HalfSpaceTrees, Shape
from models.learning import Learning

NAMES = ("pace", "amount", "night", "distance", "zeal")  # not in River's (sorted) order


def rows(seed: int, n: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([random.beta(2, 6, (n - n // 4, len(NAMES))), random.random((n // 4, len(NAMES)))])


def learned(shape: Shape, windows: int) -> Learning:
    learning = Learning(shape, NAMES)
    for window in range(windows):
        assert learning.learn(rows(window, shape.window)) == shape.window
    return learning


def river_scores(learning: Learning, matrix: np.ndarray) -> list[float]:
    return [learning.score_one(row) for row in matrix.tolist()]


@pytest.mark.parametrize(
    "shape",
    [Shape(1, 1, 3, 0), Shape(3, 2, 7, 1), Shape(10, 8, 250, 42), Shape(25, 8, 1_000, 7), Shape(30, 11, 333, 5)],
    ids=str,
)
def test_equals_river_for_every_shape(shape: Shape) -> None:
    learning = learned(shape, 2)
    matrix = rows(99, 200)
    assert learning.trees().score(matrix).tolist() == river_scores(learning, matrix)


@pytest.fixture(scope="module")
def default() -> tuple[Learning, HalfSpaceTrees]:
    learning = learned(Shape(), 2)
    return learning, learning.trees()


unit = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 1.0, -0.0, 0.5]), st.floats(allow_infinity=True, allow_nan=True)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(unit, min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=12))
def test_equals_river_for_any_row(default: tuple[Learning, HalfSpaceTrees], matrix: list[list[float]]) -> None:
    learning, trees = default
    assert trees.score(np.array(matrix)).tolist() == river_scores(learning, np.array(matrix))


def test_equals_river_on_the_thresholds_themselves(default: tuple[Learning, HalfSpaceTrees]) -> None:
    learning, trees = default
    matrix = np.full((200, len(NAMES)), 0.5)
    for row in range(200):
        tree, branch = divmod(row, 8)
        matrix[row, trees.features[tree, branch]] = trees.thresholds[tree, branch]
    assert trees.score(matrix).tolist() == river_scores(learning, matrix)


@pytest.mark.parametrize("size", [1, 3, 100, ROWS_AT_ONCE, ROWS_AT_ONCE + 1])
def test_a_score_does_not_depend_on_the_batch(default: tuple[Learning, HalfSpaceTrees], size: int) -> None:
    matrix = rows(5, 1_100)
    whole = default[1].score(matrix).tolist()
    parts = [s for start in range(0, 1_100, size) for s in default[1].score(matrix[start : start + size]).tolist()]
    assert parts == whole
    assert default[1].score(np.asfortranarray(matrix)).tolist() == whole
    assert default[1].score(matrix[:0]).tolist() == []


def test_shapes_that_disagree_or_lose_exactness_are_refused(default: tuple[Learning, HalfSpaceTrees]) -> None:
    trees = default[1]
    with pytest.raises(ValueError, match="height 7"):
        HalfSpaceTrees(7, trees.window, trees.features, trees.thresholds, trees.masses)
    with pytest.raises(ValueError, match="masses of shape"):
        HalfSpaceTrees(8, trees.window, trees.features, trees.thresholds, trees.masses[:, :-1])
    with pytest.raises(ValueError, match="exactly"):
        HalfSpaceTrees(8, 2**45, trees.features, trees.thresholds, trees.masses)
