"""What is said is by the mean of the weights and their running average: folded into one, in both forms, across a dump."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models import logistic
from models.average import EVERY, SHARE, Average
from models.binning import Bins, Column
from models.calibration_online import probability
from models.classifier import Classifier
from models.logistic import Logistic, Terms, learn_in_python, log_odds
from models.replay import STATE_BYTES

Floats = NDArray[np.float64]
COLUMNS = (Column("a", "a", crossed=True), Column("b", "b", crossed=True), Column("c", "c", category=True))
ROOM = 1_000_000


def stream(seed: int, n: int) -> tuple[Floats, Floats]:
    dice = np.random.default_rng(seed)
    x = np.column_stack([dice.normal(size=(n, 2)), dice.choice([1.0, 2.0, 3.0], n)])
    x[dice.random(x.shape) < 0.1] = np.nan
    odds = np.nan_to_num(2 * x[:, 0] + x[:, 1]) - 3
    return x, (dice.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64)


def taught(rows: int) -> Classifier:
    classifier = Classifier(COLUMNS)
    classifier.observe(stream(1, 1_500)[0])
    classifier.learn(*stream(2, rows))
    return classifier


def test_the_average_is_of_all_rows_at_first_and_forgets_later() -> None:
    average = Average(Terms.of([2], [0], []), ROOM)
    moves: list[int] = []
    expected = 0.0
    while average.rows < 60 * EVERY:
        due = average.due
        row = average.rows + due
        average.model.weights[:] = row
        average.after(due - 1)
        assert average.values == pytest.approx(expected, rel=1e-5)  # not before it is due
        average.after(1)
        interval = row // 2 if 1 < row <= EVERY else min(row, EVERY)
        expected += max(SHARE, interval / row) * (row - expected)
        moves.append(row)
        assert average.values == pytest.approx(expected, rel=1e-5)
    assert moves == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(EVERY, 60 * EVERY + 1, EVERY)]


def test_what_is_said_is_by_the_mean_of_both() -> None:
    classifier = taught(3_000)
    average = classifier._average
    assert np.abs(average.values - average.model.weights).max() > 0.1
    x, y = stream(3, 400)
    bins = classifier._bins
    assert bins is not None
    apart = log_odds(average.model, *bins.encode(x))
    slow = Logistic.new(average.model.terms)
    slow.weights[:] = average.values
    assert classifier.log_odds(x) == pytest.approx((apart + log_odds(slow, *bins.encode(x))) / 2.0, abs=1e-9)
    said = classifier.scores(x)
    assert classifier.learn(x[:1], y[:1]).tolist() == said[:1].tolist()
    assert classifier.scores(x).tolist() != said.tolist()  # learning moved what is said at once


@pytest.mark.skipif(not logistic.COMPILED, reason="the compiled form was not built")
def test_both_forms_say_the_same_of_a_row_before_it_is_learned() -> None:
    bins = Bins.settle(COLUMNS, stream(1, 1_500)[0].astype(np.float32))
    x, y = stream(4, 1_200)
    slots, shares = bins.encode(x)
    terms = Terms.of(bins.sizes, range(3), range(3, 5))
    weights = np.where(np.arange(len(x)) % 9 == 4, -1.0, 1.0)
    ends: list[int] = []
    forms = []
    for learn in (logistic.learn, learn_in_python):
        average, said, at = Average(terms, ROOM), [], 0
        while at < len(x):
            part = slice(at, min(at + average.due, len(x)))
            told = learn(average.model, slots[part], shares[part], y[part], weights[part], -2.5)
            said.append(told)
            at += len(told)
            average.after(len(told))
            ends.append(at)
        forms.append((np.concatenate(said), average.model.weights, average.model.squares, average.values))
    for compiled, plain in zip(*forms, strict=True):
        assert compiled.tolist() == plain.tolist()
    assert len(ends) > 60  # it stopped at suspicious rows, too


@pytest.mark.parametrize("rows", [1, 700, EVERY, 2_600])
def test_a_dump_moves_its_average_on_when_the_classifier_would(rows: int) -> None:
    classifier = taught(rows)
    again = Classifier.load(classifier.dump())
    x, y = stream(5, 1_500)
    assert again.scores(x).tolist() == classifier.scores(x).tolist()
    for each in (again, classifier):
        each.learn(x, y)
    assert again.scores(x).tolist() == classifier.scores(x).tolist()
    assert again.dump()["average"].tobytes() == classifier.dump()["average"].tobytes()
    assert again._average.rows == rows + 1_500


def test_what_is_added_up_to_is_what_is_said() -> None:
    classifier, (x, _) = taught(2_000), stream(6, 200)
    total = classifier.by_column(x).sum(axis=1) + classifier.base
    assert total == pytest.approx(classifier.log_odds(x), abs=1e-9)
    calibration = classifier.calibration
    shown = probability(total, calibration.intercept, calibration.slope)
    assert shown == pytest.approx(classifier.scores(x), abs=1e-9)


def test_where_there_is_no_room_the_weights_speak_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.classifier.STATE_BYTES", 0)
    monkeypatch.setattr("models.replay.STATE_BYTES", 0)
    classifier = taught(2_000)
    bins = classifier._bins
    assert bins is not None
    assert len(classifier._average.values) == 0
    x, y = stream(7, 100)
    assert classifier.log_odds(x).tolist() == log_odds(classifier._whole, *bins.encode(x)).tolist()
    again = Classifier.load(classifier.dump())
    assert again.learn(x, y).tolist() == classifier.learn(x, y).tolist()
    assert again.scores(x).tolist() == classifier.scores(x).tolist()


def test_an_average_leaves_kept_rows_at_least_as_much_room() -> None:
    terms = Terms.of([2], [0], [])
    assert len(Average(terms, 8 * terms.count).values) == terms.count
    assert len(Average(terms, 8 * terms.count - 1).values) == 0
    classifier = taught(10)
    assert 2 * classifier._average.values.nbytes < STATE_BYTES


def test_an_average_that_cannot_be_is_refused() -> None:
    state = taught(500).dump()
    average = state["average"]
    for wrong in (
        {"average": average[1:]},
        {"average": np.full_like(average, np.nan)},
        {"average_rows": np.array([-1.0])},
        {"average_rows": np.array([np.nan])},
        {"average_rows": np.zeros(2)},
    ):
        with pytest.raises(ValueError, match="average"):
            Classifier.load({**state, **wrong})
