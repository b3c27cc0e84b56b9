"""The classifier is River's logistic regression on bins and crosses, in both its forms; rows, chunks and a dump change
nothing."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from river import linear_model, optim

from models import binning, logistic
from models.binning import SAMPLE_ROWS, Bins, Column, Sample
from models.calibration_online import _GRID, _STEPS, REACH, Calibration, probability, probability_in_python
from models.classifier import ROWS_TO_SETTLE, Classifier
from models.logistic import (
    Logistic,
    Terms,
    learn_in_python,
    log_odds_in_python,
    log_odds_of_in_python,
    shares_in_python,
)
from models.logistic_constants import EPSILON, INTERCEPT, RATE

Floats = NDArray[np.float64]

COLUMNS = (
    Column("amount", "amount", crossed=True),
    Column("hour", "time", crossed=True),
    Column("mcc", "merchant", category=True, crossed=True),
    Column("km", "place"),
    Column("run", "labels", knots=(0.0, 1.0, 2.0, 5.0), coarse=(0.0, 1.0, 5.0), label_derived=True, crossed=True),
)


def stream(seed: int, n: int) -> tuple[Floats, Floats]:
    dice = np.random.default_rng(seed)
    x = np.column_stack(
        [dice.lognormal(3, 1, n), dice.uniform(0, 24, n), dice.choice([5411, 5541, 7995, 4829], n), dice.exponential(9, n), dice.poisson(0.2, n)]
    )  # fmt: skip
    x[dice.random(x.shape) < 0.1] = np.nan
    odds = np.nan_to_num(0.02 * x[:, 0] + 1.5 * x[:, 4]) + 2 * (x[:, 2] == 4829) * (x[:, 1] < 6) - 4
    return x, (dice.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64)


def taught(rows: int = 3_000) -> Classifier:
    classifier = Classifier(COLUMNS)
    classifier.observe(stream(1, 2_000)[0])
    classifier.learn(*stream(2, rows))
    return classifier


def both_forms() -> list[str]:
    return ["compiled", "python"] if logistic.COMPILED else ["python"]


@pytest.mark.parametrize("form", both_forms())
def test_it_is_rivers_logistic_regression(form: str) -> None:
    bins = Bins.settle(COLUMNS, stream(1, 2_000)[0].astype(np.float32))
    terms = Terms.of(bins.sizes, range(5), range(5, 9), silent=[3])
    ours = Logistic.new(terms)
    river = linear_model.LogisticRegression(
        optim.AdaGrad(lr=RATE, eps=EPSILON), intercept_init=INTERCEPT, intercept_lr=0.0
    )
    x, y = stream(3, 1_500)
    weights = np.where(np.arange(len(x)) % 7 == 3, -1.0, 1.0)  # a label taken back is a row with its weight negative
    encoded = bins.encode(x)
    learn, log_odds = (
        (logistic.learn, logistic.log_odds) if form == "compiled" else (learn_in_python, log_odds_in_python)
    )
    before = learn(ours, *encoded, y, weights)
    for row in range(len(x)):
        features = terms.as_dict(encoded[0][row], encoded[1][row])
        assert river._raw_dot_one(features) == pytest.approx(before[row], abs=1e-9)
        river.learn_one(features, bool(y[row]), w=weights[row])
    known = river.weights
    assert max(abs(known.get(place, 0.0) - weight) for place, weight in enumerate(ours.weights)) < 1e-9
    z = log_odds(ours, *encoded)
    for row in range(0, len(x), 10):
        assert river._raw_dot_one(terms.as_dict(encoded[0][row], encoded[1][row])) == pytest.approx(z[row], abs=1e-9)


@pytest.mark.skipif(not logistic.COMPILED, reason="the compiled form was not built")
def test_both_forms_give_equal_numbers_to_the_bit() -> None:
    bins = Bins.settle(COLUMNS, stream(1, 2_000)[0].astype(np.float32))
    x, y = stream(4, 1_000)
    x[:5, 0] = [math.inf, -math.inf, 0.0, 1e300, -1.0]
    encoded = bins.encode(x)
    plain = binning.encode_in_python(bins.source, bins.starts, bins.knots, bins.category, x)
    assert (encoded[0] == plain[0]).all()
    assert (encoded[1] == plain[1]).all()
    terms = Terms.of(bins.sizes, range(5), range(5, 9), silent=[3])
    one, other = Logistic.new(terms), Logistic.new(terms)
    weights = np.ones(len(x))
    assert logistic.learn(one, *encoded, y, weights).tolist() == learn_in_python(other, *encoded, y, weights).tolist()
    assert one.weights.tolist() == other.weights.tolist()
    assert one.squares.tolist() == other.squares.tolist()
    assert logistic.shares_of_log_odds(one, *encoded).tolist() == shares_in_python(one, *encoded).tolist()
    z = log_odds_in_python(one, *encoded)
    assert logistic.log_odds(one, *encoded).tolist() == z.tolist()
    assert logistic.log_odds_of(one, *bins.arrays, x).tolist() == z.tolist()
    assert log_odds_of_in_python(one, *bins.arrays, x).tolist() == z.tolist()
    z[:5] = [-1e9, 1e9, 0.0, 16.0, -16.0]
    plain_probability = probability_in_python(z, 0.3, 1.7, _GRID, REACH, _STEPS)
    assert probability(z, 0.3, 1.7).tolist() == plain_probability.tolist()


@pytest.mark.skipif(not logistic.COMPILED, reason="the compiled form was not built")
def test_crosses_that_are_not_all_pairs_are_refused_by_the_compiled_form() -> None:
    terms = Terms.of([3, 3, 3, 3], range(4), range(1, 4))
    broken = dataclasses.replace(terms, left=terms.left[:2], right=terms.right[:2])
    with pytest.raises(ValueError, match="all pairs"):
        logistic.log_odds(Logistic.new(broken), np.ones((1, 4), dtype=np.uint8), np.zeros((1, 4)))


def test_a_column_that_never_had_a_value_changes_nothing_until_it_has_one() -> None:
    wider = Classifier((*COLUMNS, Column("sim swap", "customer", knots=(0.0, 24.0, 720.0), crossed=True)))
    without, (seen, _), (x, y) = taught(), stream(1, 2_000), stream(2, 3_000)

    def wide(rows: Floats, hours: float) -> Floats:
        return np.column_stack([rows, np.full(len(rows), hours)])

    wider.observe(wide(seen, np.nan))
    wider.learn(wide(x, np.nan), y)
    fresh, _ = stream(5, 200)
    assert wider.scores(wide(fresh, np.nan)).tolist() == without.scores(fresh).tolist()
    assert wider.explained(wide(fresh, np.nan)).tolist() == without.explained(fresh).tolist()
    assert not wider.by_column(wide(fresh, np.nan))[:, -1].any()
    wider = Classifier.load(wider.dump())
    wider.learn(wide(x[:300], 3.0), np.ones(300))
    wider.learn(wide(x, np.nan), y)
    assert (wider.log_odds(wide(fresh, 3.0)) > wider.log_odds(wide(fresh, np.nan)) + 1.0).all()


def test_it_learns_what_there_is_to_learn() -> None:
    classifier = taught(20_000)
    x, y = stream(9, 10_000)
    p = classifier.scores(x)
    order = np.argsort(-p)
    assert y[order[:500]].mean() > 3 * y.mean()
    assert abs(p.mean() - y.mean()) < 0.15 * y.mean()


@pytest.mark.parametrize("size", [1, 3, 100, 1_999])
def test_a_score_does_not_depend_on_the_rows_beside_it(size: int) -> None:
    classifier, (x, _) = taught(), stream(5, 2_000)
    for score in (classifier.scores, classifier.explained):
        parts = [score(x[start : start + size]) for start in range(0, 2_000, size)]
        assert np.concatenate(parts).tolist() == score(np.asfortranarray(x)).tolist()
    assert classifier.scores(x[:0]).tolist() == []


def test_learning_in_parts_is_learning_at_once() -> None:
    x, y = stream(2, 3_000)
    whole, parts = taught(), Classifier(COLUMNS)
    for row in np.array_split(stream(1, 2_000)[0], 37):
        parts.observe(row)
    for rows, labels in zip(np.array_split(x, 41), np.array_split(y, 41), strict=True):
        parts.learn(rows, labels)
    for name, array in whole.dump().items():
        assert parts.dump()[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("rows", [0, 500, 2_500])
def test_a_dump_scores_and_learns_as_the_classifier_would(rows: int) -> None:
    classifier = Classifier(COLUMNS)
    classifier.observe(stream(1, 2_000)[0])
    if rows:
        classifier.learn(*stream(2, rows))
    state = classifier.dump()
    assert sum(array.nbytes for array in state.values()) < 1_000_000
    again = Classifier.load(state)
    x, y = stream(6, 1_000)
    for _ in range(2):
        assert again.scores(x).tolist() == classifier.scores(x).tolist()
        for each in (again, classifier):
            each.observe(x)
            each.learn(x, y)
        for name, array in classifier.dump().items():
            assert again.dump()[name].tobytes() == array.tobytes(), name


def test_learning_tells_what_was_said_of_each_row_before() -> None:
    classifier, (x, y) = taught(), stream(11, 40)
    for row in range(len(x)):
        was = classifier.scores(x[row : row + 1])
        assert classifier.learn(x[row : row + 1], y[row : row + 1]).tolist() == was.tolist()
    fresh = Classifier(COLUMNS)
    assert fresh.learn(x, y).tolist() == fresh.scores(x).tolist()  # not settled: nothing was learned


def test_a_dump_is_not_moved_by_learning_on() -> None:
    classifier = taught()
    state = classifier.dump()
    kept = {name: array.copy() for name, array in state.items()}
    classifier.learn(*stream(7, 200))
    assert all(kept[name].tobytes() == array.tobytes() for name, array in state.items())


def test_what_is_no_state_of_these_columns_is_refused() -> None:
    state = taught().dump()
    with pytest.raises(ValueError, match=r"other columns|knots|numbers"):
        Classifier.load(state | {"columns": state["columns"][:-1]})
    for name, wrong in (("weights", np.full_like(state["weights"], math.nan)), ("squares", -state["squares"])):
        with pytest.raises(ValueError, match=r"numbers|below 0"):
            Classifier.load(state | {name: wrong})
    with pytest.raises(ValueError, match="rise"):
        Classifier.load(state | {"knots": state["knots"][::-1]})
    with pytest.raises(ValueError, match="state"):
        Classifier.load({})


def test_a_label_taken_back_moves_the_score_back() -> None:
    classifier = taught()
    x, _ = stream(8, 1)
    x[0] = [9_000.0, 3.0, 4829.0, 50.0, 4.0]
    was, counts = classifier.scores(x)[0], (classifier.learned, classifier.frauds)
    for _ in range(20):
        classifier.learn(x, np.zeros(1))
    misled = classifier.scores(x)[0]
    for _ in range(20):
        classifier.unlearn(x, np.zeros(1))
    assert misled < was
    assert (classifier.learned, classifier.frauds) == counts
    assert abs(classifier.scores(x)[0] - was) < 0.5 * (was - misled)


def test_contributions_add_up_to_the_log_odds() -> None:
    classifier, (x, _) = taught(), stream(10, 300)
    told = classifier.contributions(x)
    assert set(told) == {"amount", "time", "merchant", "place", "labels"}
    assert sum(told.values()) + classifier.base == pytest.approx(classifier.log_odds(x), abs=1e-9)


def test_what_a_column_adds_depends_on_no_other_row_and_a_dump_knows_the_usual_row() -> None:
    classifier, (x, _) = taught(), stream(10, 300)
    told = classifier.by_column(x)
    assert told.sum(axis=1) + classifier.base == pytest.approx(classifier.log_odds(x), abs=1e-9)
    assert [classifier.by_column(row[None, :])[0].tolist() for row in x] == told.tolist()
    seen = stream(1, 2_000)[0]
    for number in (0, 1, 3, 4):
        assert classifier.usual[number] == pytest.approx(np.nanmedian(seen[:, number]), rel=0.05)
    assert classifier.usual[2] in (5411, 5541, 7995, 4829)
    again = Classifier.load(classifier.dump())
    assert again.usual.tolist() == classifier.usual.tolist()
    assert again.by_column(x).tolist() == told.tolist()


def test_a_column_that_most_rows_lack_is_usually_missing() -> None:
    sample = np.array([[np.nan, 1.0, 7.0], [np.nan, 3.0, 7.0], [5.0, 2.0, 9.0]], dtype=np.float32)
    columns = (Column("km", "place"), Column("amount", "amount"), Column("mcc", "merchant", category=True))
    assert binning.usual_of(sample, columns) == pytest.approx([np.nan, 2.0, 7.0], nan_ok=True)


def test_what_the_card_did_explains_nothing_that_labels_say() -> None:
    classifier, (x, _) = taught(), stream(10, 300)
    other = x.copy()
    other[:, 4] = 5.0
    assert classifier.explained(x).tolist() == classifier.explained(other).tolist()
    assert classifier.scores(x).tolist() != classifier.scores(other).tolist()


def test_too_few_rows_settle_no_bins() -> None:
    classifier = Classifier(COLUMNS)
    x, y = stream(1, ROWS_TO_SETTLE)
    classifier.observe(x[1:])
    classifier.learn(x, y)
    assert not classifier.settled
    assert len(set(classifier.scores(x).tolist())) == 1
    classifier.observe(x[:1])
    classifier.learn(x, y)
    assert classifier.settled


def test_labels_and_shapes_that_cannot_be_are_refused() -> None:
    classifier, (x, y) = taught(), stream(1, 4)
    for matrix, labels in ((x[:, :4], y), (x, y[:3]), (x, y + 0.5)):
        with pytest.raises(ValueError, match=r"columns|as many|labels are"):
            classifier.learn(matrix, labels)


def test_a_sample_is_of_all_the_past_whatever_the_chunks() -> None:
    rows = np.arange(50_000, dtype=np.float64)[:, None]
    samples = []
    for size in (50_000, 4_096, 777):
        sample = Sample(1)
        for start in range(0, len(rows), size):
            sample.add(rows[start : start + size])
        samples.append(sample)
    for sample in samples:
        assert sample.seen == 50_000
        assert SAMPLE_ROWS / 2 <= len(sample.rows) <= SAMPLE_ROWS
        assert sample.rows[:, 0].tolist() == list(range(0, 50_000, sample.stride))


def test_a_model_that_claims_too_much_is_calibrated() -> None:
    dice = np.random.default_rng(3)
    z = dice.normal(-3, 2, 40_000)
    labels = (dice.random(40_000) < 1 / (1 + np.exp(-(0.5 + 0.7 * z)))).astype(np.float64)
    calibration = Calibration()
    calibration.learn(z, labels, np.ones(40_000))
    assert calibration.slope == pytest.approx(0.7, abs=0.05)
    assert calibration.intercept == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("rare", [0.0, 3.0])
def test_a_calibration_follows_what_changed_however_rare_fraud_is(rare: float) -> None:
    dice = np.random.default_rng(4)
    n = 60_000 if rare else 20_000
    z = dice.normal(-2.0 - rare, 2, 2 * n)
    more = np.repeat([0.0, 1.5], n)
    labels = (dice.random(2 * n) < 1 / (1 + np.exp(-(more + z)))).astype(np.float64)
    calibration = Calibration()
    calibration.learn(z[:n], labels[:n], np.ones(n))
    assert calibration.intercept == pytest.approx(0.0, abs=0.4)
    calibration.learn(z[n:], labels[n:], np.ones(n))
    assert calibration.intercept == pytest.approx(1.5, abs=0.4)
    assert calibration.slope == pytest.approx(1.0, abs=0.2)


def test_probabilities_are_the_logistic_curve_and_never_fall() -> None:
    z = np.linspace(-20, 20, 9_999)
    p = probability(z)
    assert p == pytest.approx(1 / (1 + np.exp(-np.clip(z, -16, 16))), abs=2e-6)
    assert (np.diff(p) >= 0).all()
