"""Trees and reference masses at a window boundary are the whole model: learning goes on from them as if never stopped."""

import numpy as np
import pytest

from models.half_space_trees import Shape
from models.learning import Learning

SHAPE = Shape(trees=8, height=6, window=100, seed=3)
NAMES = ("b", "a", "c")


def rows(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(2, 5, (n, len(NAMES)))


def learn_all(learning: Learning, matrix: np.ndarray) -> list[int]:
    stops = []
    while len(matrix):
        stops.append(learning.learn(matrix))
        matrix = matrix[stops[-1] :]
    return stops


def test_learning_stops_at_every_window_boundary() -> None:
    learning = Learning(SHAPE, NAMES)
    assert learn_all(learning, rows(1, 250)) == [100, 100, 50]
    assert not learning.at_boundary
    assert learn_all(learning, rows(2, 160)) == [50, 100, 10]


def test_before_the_first_window_river_scores_zero_and_trees_cannot_be_read() -> None:
    learning = Learning(SHAPE, NAMES)
    assert not learning.at_boundary
    assert learning.learn(rows(1, 99)) == 99
    assert learning.score_one((0.1, 0.2, 0.3)) == 0
    with pytest.raises(ValueError, match="between windows"):
        learning.trees()


def test_resumed_at_a_boundary_equals_uninterrupted_now_and_after_more_learning() -> None:
    uninterrupted = Learning(SHAPE, NAMES)
    learn_all(uninterrupted, rows(1, 300))
    resumed = Learning.resume(SHAPE, NAMES, uninterrupted.trees(), uninterrupted.learned)
    probe = rows(9, 50)
    assert resumed.at_boundary
    assert resumed.trees().score(probe).tolist() == uninterrupted.trees().score(probe).tolist()
    for learning in (uninterrupted, resumed):
        learn_all(learning, rows(2, 100))  # one window: the next one would wipe out a wrong beginning
    assert resumed.learned == uninterrupted.learned == 400
    assert np.array_equal(resumed.trees().masses, uninterrupted.trees().masses)
    assert [resumed.score_one(r) for r in probe.tolist()] == [uninterrupted.score_one(r) for r in probe.tolist()]


def test_resuming_does_not_depend_on_how_the_splits_were_drawn() -> None:
    """The splits come from the snapshot: another random generator (a new Python or River) changes nothing."""
    first = Learning(SHAPE, NAMES)
    learn_all(first, rows(1, 100))
    resumed = Learning.resume(SHAPE._replace(seed=4), NAMES, first.trees(), first.learned)
    assert np.array_equal(resumed.trees().thresholds, first.trees().thresholds)
    assert np.array_equal(resumed.trees().features, first.trees().features)
