"""Calibration figures, worked by hand or from scores whose truth is drawn from them."""

import math

import numpy as np
import pytest

from pipeline.lab.evaluate.calibration import (
    bins,
    brier,
    brier_skill,
    expected_error,
    log_odds_line,
    sampling_floor,
)
from pipeline.lab.evaluate.folds import DAY_S, Fold
from pipeline.lab.evaluate.measures import measure_together
from pipeline.lab.evaluate.seen import Transactions


def test_equal_mass_bins_and_their_error() -> None:
    score = np.array([0.4, 0.1, 0.2, 0.3])
    found = bins(np.array([True, False, False, True]), score, number=2)
    assert [(each.n, each.share) for each in found] == [(2, 0.0), (2, 1.0)]
    assert [each.mean for each in found] == pytest.approx([0.15, 0.35])
    assert expected_error(found) == pytest.approx((0.15 + 0.65) / 2)


def test_equal_scores_stay_in_one_bin_in_whatever_order_they_lie() -> None:
    score = np.array([0.2] * 6 + [0.9] * 2)
    for fraud in ([1, 1, 1, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]):
        found = bins(np.array(fraud, dtype=np.bool_), score, number=4)
        assert [(each.n, each.share) for each in found] == [(6, 0.5), (2, 1.0)]


def test_scores_that_tell_the_truth_show_an_error_as_large_as_the_floor() -> None:
    score = np.random.default_rng(1).beta(0.6, 0.9, size=400)
    floor = sampling_floor(score)
    shown = [expected_error(bins(np.random.default_rng(seed).random(400) < score, score)) for seed in range(40)]
    assert floor == pytest.approx(np.mean(shown), rel=0.1)
    assert floor == sampling_floor(score)  # drawn alike every time
    assert sampling_floor(np.tile(score, 16)) == pytest.approx(floor / 4.0, rel=0.15)
    assert math.isnan(sampling_floor(np.empty(0)))


def test_the_error_of_all_folds_together_is_of_all_their_transactions_at_once() -> None:
    score = np.tile([0.2, 0.4, 0.01], 200)
    day = np.repeat(np.arange(6), 100)
    fraud = np.where(day < 3, score > 0.3, score > 0.9)  # too many frauds at 0.4 in one fold, too few in the other
    none = np.zeros(600, dtype=np.uint8)
    transactions = Transactions(
        at=day * DAY_S,
        score=score,
        raw=score,
        amount=score,
        card=none.astype(np.int32),
        fraud=fraud,
        kind=none.astype(np.int16),
        outcome=none,
        kinds=(),
    )
    folds = [Fold(start, start + 2, (day >= start) & (day < start + 2), day < 0, day) for start in (1, 3)]
    told = measure_together(transactions, folds)
    seen = (day >= 1) & (day < 5) & (score > 0.05)
    assert told["ece_above_pooled"] == pytest.approx(expected_error(bins(fraud[seen], score[seen])))
    assert told["ece_above_pooled"] == pytest.approx((0.2 + 0.1) / 2, abs=0.01)
    assert told["ece_above_pooled_floor"] == pytest.approx(sampling_floor(score[seen]))
    quiet = transactions._replace(score=np.full(600, 0.01))
    assert set(measure_together(quiet, folds).values()) == {None}


def test_no_scores_make_no_bins() -> None:
    assert bins(np.empty(0, dtype=np.bool_), np.empty(0)) == []
    assert math.isnan(expected_error([]))


def test_brier_score_and_skill() -> None:
    fraud, score = np.array([True, False]), np.array([0.8, 0.4])
    assert brier(fraud, score) == pytest.approx((0.04 + 0.16) / 2)
    assert brier_skill(fraud, score, rate=0.5) == pytest.approx(1 - 0.1 / 0.25)
    assert brier_skill(fraud, np.array([0.5, 0.5]), rate=0.5) == 0.0
    assert brier_skill(fraud, np.array([0.0, 1.0]), rate=0.5) < 0


def test_the_line_through_the_log_odds_of_two_groups_is_exact() -> None:
    # truth 1/2 at score 0.2 and 3/4 at score 0.8: log-odds 0 and ln 3, scores' −ln 4 and ln 4
    score = np.array([0.2] * 4 + [0.8] * 4)
    fraud = np.array([1, 1, 0, 0, 1, 1, 1, 0], dtype=np.bool_)
    slope, intercept = log_odds_line(fraud, score)
    assert slope == pytest.approx(math.log(3) / (2 * math.log(4)), abs=1e-6)
    assert intercept == pytest.approx(math.log(3) / 2, abs=1e-6)


def test_scores_whose_truth_is_drawn_from_them_have_slope_one_and_no_error() -> None:
    draws = np.random.default_rng(3)
    score = draws.beta(0.3, 12.0, size=200_000)
    fraud = draws.random(200_000) < score
    slope, intercept = log_odds_line(fraud, score)
    assert slope == pytest.approx(1.0, abs=0.03)
    assert intercept == pytest.approx(0.0, abs=0.06)
    assert expected_error(bins(fraud, score)) < 0.005
    assert brier_skill(fraud, score, float(fraud.mean())) > 0.05


def test_a_large_stream_whose_scores_say_nothing_has_slope_none() -> None:
    draws = np.random.default_rng(4)
    score = draws.choice([0.0002, 0.0003, 0.002, 0.3], size=300_000, p=[0.5, 0.4, 0.095, 0.005])
    slope, intercept = log_odds_line(draws.random(300_000) < 0.008, score)
    assert slope == pytest.approx(0.0, abs=0.05)
    assert intercept == pytest.approx(math.log(0.008 / 0.992), abs=0.3)


def test_a_line_needs_both_kinds() -> None:
    assert all(math.isnan(value) for value in log_odds_line(np.array([True, True]), np.array([0.1, 0.9])))
