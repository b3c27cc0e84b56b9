"""What a scorer gets from its model, before and after anything was learned."""

from dataclasses import replace

import numpy as np
import pytest

from models.calibrate import PriorCurve
from models.half_space_trees import Shape
from models.learning import Learning
from models.percentile import Percentile
from models.progress import Progress
from models.river_logistic import KIND, Logistic
from models.scaling import Scaling
from models.scorer import DAY_ONE_VERSION, Model
from models.snapshot import Labelled, Snapshot
from models.trees_detector import TreesDetector

NAMES = ("x", "y")
CURVE = PriorCurve(0.01, np.array([0.0, 100.0]), np.array([0.0, 0.02]))


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    learning = Learning(Shape(5, 5, 200, 1), NAMES)
    usual = np.random.default_rng(1).normal(0.3, 0.05, (200, 2)).clip(0, 1)
    learning.learn(usual)
    trees = learning.trees()
    grid = Percentile.from_scores(trees.score(usual))
    detector = TreesDetector(learning.shape, Scaling.of(range(2), [[0, 0, 1, 0.5]] * 2), trees)
    return Snapshot("layout", NAMES, detector, grid, 200, 200, 1, {0: 200}, {0: 1}, 0.0)


def test_day_one_finds_nothing_unusual_and_says_that_it_is_warming_up() -> None:
    model = Model.day_one("layout", CURVE)
    raw, percentile, score = model.scores(np.random.default_rng(3).random((4, 2)))
    assert (raw.tolist(), percentile.tolist(), score.tolist()) == ([0.0] * 4, [50.0] * 4, [0.01] * 4)
    assert (model.version, model.warming_up) == (DAY_ONE_VERSION, True)


def test_a_trained_model_ranks_the_unusual_above_the_usual(snapshot: Snapshot) -> None:
    model = Model.trained(snapshot, CURVE)
    raw, percentile, score = model.scores(np.array([[0.3, 0.3], [0.97, 0.02]]))
    assert raw[1] > raw[0]
    assert percentile[1] == 100 > percentile[0]
    assert score.tolist() == CURVE.of(percentile).tolist()
    assert not model.warming_up


def test_scores_do_not_depend_on_the_batch(snapshot: Snapshot) -> None:
    model = Model.trained(snapshot, CURVE)
    x = np.random.default_rng(4).random((300, 2))
    whole = np.array(model.scores(x))
    single = np.concatenate([np.array(model.scores(x[i : i + 1])) for i in range(300)], axis=1)
    assert np.array_equal(whole, single)


def test_the_version_and_layout_are_the_snapshots(snapshot: Snapshot) -> None:
    model = Model.trained(snapshot, CURVE)
    assert (model.version, model.layout) == (snapshot.version, "layout")
    assert Model.trained(replace(snapshot, epoch=9), CURVE).version != model.version


def test_rows_that_lack_a_column_are_refused(snapshot: Snapshot) -> None:
    with pytest.raises(IndexError):
        Model.trained(snapshot, CURVE).scores(np.zeros((3, 1)))


def test_the_classifier_gives_the_score_once_it_has_qualified(snapshot: Snapshot) -> None:
    classifier = Logistic(np.tile([0.0, 0.0, 1.0, 0.5], (3, 1)), 1)
    matrix = np.random.default_rng(4).random((50, 3))
    classifier.learn(matrix, (matrix[:, 0] > 0.5).astype(float), np.ones(50))
    good = Progress(60.0, 2_000.0, 1_500.0, 1.0, 2.0, 30.0)
    before = Model.trained(snapshot, CURVE).scores(matrix)
    for progress, scores in ((good, classifier.scores(matrix)), (good._replace(loss=3.0), before.score)):
        learned = Labelled(KIND, classifier.dump(), progress, {}, {}, {})
        model = Model.trained(replace(snapshot, labelled=learned), CURVE)
        assert model.scores(matrix).score.tolist() == scores.tolist()
        assert model.scores(matrix).percentile.tolist() == before.percentile.tolist()
