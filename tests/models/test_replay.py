"""Suspicious rows are learned again, as River would if it were told them again; what was wrong of them is not."""

import math
from collections import deque

import numpy as np
import pytest
from numpy.typing import NDArray
from river import linear_model, optim

from models.binning import Column
from models.classifier import Classifier
from models.logistic import Terms
from models.logistic_constants import EPSILON, INTERCEPT, RATE
from models.replay import MOST_ROWS, STATE_BYTES, SUSPICIOUS, TIMES, Replay
from models.snapshot import MAX_CLASSIFIER_BYTES
from pipeline.roles.learner.columns import COLUMNS as PRODUCT_COLUMNS

Floats = NDArray[np.float64]
COLUMNS = (Column("a", "a", crossed=True), Column("b", "b", crossed=True))


def stream(seed: int, n: int) -> tuple[Floats, Floats]:
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(n, 2)).astype(np.float32).astype(np.float64)  # as they are kept
    x[dice.random(x.shape) < 0.1] = np.nan
    odds = np.nan_to_num(2 * x[:, 0] + x[:, 1]) - 3
    return x, (dice.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64)


def small(monkeypatch: pytest.MonkeyPatch, rows: int = 64) -> Classifier:
    monkeypatch.setattr("models.replay.MOST_ROWS", rows)
    classifier = Classifier(COLUMNS)
    classifier.observe(stream(1, 1_500)[0])
    return classifier


def test_it_is_river_told_the_suspicious_rows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = small(monkeypatch)
    x, y = stream(2, 2_000)
    classifier.learn(x, y)
    bins = classifier._bins
    assert bins is not None
    terms = Terms.of(bins.sizes, range(2), range(2, 4))
    river = linear_model.LogisticRegression(
        optim.AdaGrad(lr=RATE, eps=EPSILON), intercept_init=INTERCEPT, intercept_lr=0.0
    )
    slots, shares = bins.encode(x)
    newest: deque[int] = deque(maxlen=64)
    average: dict[int, float] = {}
    for row in range(len(x)):
        features = terms.as_dict(slots[row], shares[row])
        slow = INTERCEPT + sum(average.get(place, 0.0) * value for place, value in features.items())
        suspicious = (river._raw_dot_one(features) + slow) / 2 > SUSPICIOUS
        river.learn_one(features, bool(y[row]))
        if suspicious:
            for age in (64, 43, 22):  # three times, the last as it leaves
                if len(newest) >= age:
                    again = newest[-age]
                    river.learn_one(terms.as_dict(slots[again], shares[again]), bool(y[again]))
            newest.append(row)
        if (rows := row + 1) in {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}:
            share = 1.0 if rows == 1 else 0.5
            for place, weight in river.weights.items():
                slow_weight = average.get(place, 0.0)
                average[place] = float(np.float32(slow_weight + share * (weight - slow_weight)))
    assert classifier._replay.kept > 200  # the ring went round more than once
    for place, weight in enumerate(classifier._whole.weights):
        assert river.weights.get(place, 0.0) == pytest.approx(weight, abs=1e-9)
        assert average.get(place, 0.0) == pytest.approx(classifier._average.values[place], abs=1e-6)


def test_rows_and_labels_taken_back_make_no_difference_to_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = stream(2, 1_200)
    weights = np.where(np.arange(len(x)) % 11 == 5, -0.5, 1.0)
    whole, parts = small(monkeypatch), small(monkeypatch)
    before = whole.learn(x, y, weights)
    assert np.isfinite(before).all()
    for row in range(len(x)):
        parts.learn(x[row : row + 1], y[row : row + 1], weights[row : row + 1])
    for name in ("weights", "squares", "average", "kept", "kept_rows", "kept_told"):
        assert parts.dump()[name].tobytes() == whole.dump()[name].tobytes(), name


def test_what_was_taken_back_is_not_learned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = small(monkeypatch)
    classifier.learn(*stream(2, 1_000))
    row = np.array([[1.5, math.nan]])
    assert classifier.log_odds(row)[0] > SUSPICIOUS
    classifier.learn(row, np.ones(1))
    last = (classifier._replay.kept - 1) % 64
    assert classifier._replay.told[last].tolist() == [1.0, 1.0]
    classifier.unlearn(row, np.zeros(1))  # of another label: not this one
    assert classifier._replay.told[last].tolist() == [1.0, 1.0]
    classifier.unlearn(row, np.ones(1))
    assert classifier._replay.told[last].tolist() == [1.0, 0.0]
    for _ in range(64):  # all due places come by, this one's is passed over
        rows, _, weights = classifier._replay.due()
        assert not (np.isnan(rows[:, 1]) & (rows[:, 0] == 1.5)).any()
        assert (weights > 0.0).all()
        classifier._replay.keep(np.zeros(2), 0.0, 1.0)


def test_a_full_classifier_of_the_catalogue_fits_into_a_snapshot() -> None:
    dice = np.random.default_rng(3)
    columns = [np.exp(dice.normal(size=4_000)) for _ in PRODUCT_COLUMNS]  # as many knots as there can be
    classifier = Classifier(PRODUCT_COLUMNS)
    classifier.observe(np.column_stack(columns))
    classifier.learn(np.column_stack(columns)[:2], np.array([0.0, 1.0]))
    replay = classifier._replay
    replay.kept = len(replay.rows)
    state = classifier.dump()
    assert len(replay.rows) < MOST_ROWS  # there is less room
    assert sum(array.nbytes for array in state.values()) <= MAX_CLASSIFIER_BYTES


def test_where_there_is_no_room_nothing_is_kept() -> None:
    replay = Replay(2, STATE_BYTES)
    replay.keep(np.zeros(2), 1.0, 1.0)
    replay.drop(np.zeros(2), 1.0)
    assert len(replay.due()[0]) == 0
    assert Replay.load(2, STATE_BYTES, replay.dump()).kept == 0


def test_kept_rows_that_cannot_be_are_refused() -> None:
    replay = Replay(2, 10)
    for _ in range(3):
        assert len(replay.due()[0]) < TIMES  # no more than were kept
        replay.keep(np.array([1.0, math.nan]), 1.0, 0.5)
    state = replay.dump()
    again = Replay.load(2, 10, state)
    assert again.rows.tobytes() == replay.rows.tobytes()
    assert again.told.tobytes() == replay.told.tobytes()
    for wrong in (
        {"kept": np.array([4.0])},
        {"kept": np.array([-1.0])},
        {"kept_rows": state["kept_rows"][:, :1]},
        {"kept_told": np.full((3, 2), 2.0)},
        {"kept_told": np.array([[1.0, math.nan]] * 3)},
    ):
        with pytest.raises(ValueError, match="kept"):
            Replay.load(2, 10, {**state, **wrong})
