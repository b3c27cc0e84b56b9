"""Ranking figures against examples worked by hand, and against their definitions taken literally."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.lab.evaluate.ranking import average_precision, curve, roc_auc

Flags = NDArray[np.bool_]


def flags(text: str) -> Flags:
    return np.array([letter == "1" for letter in text])


def test_a_perfect_order_scores_one_and_its_reverse_nothing() -> None:
    fraud = flags("0011")
    assert roc_auc(fraud, np.array([1.0, 2, 3, 4])) == average_precision(fraud, np.array([1.0, 2, 3, 4])) == 1.0
    assert roc_auc(fraud, np.array([4.0, 3, 2, 1])) == 0.0


def test_average_precision_is_a_sum_of_steps() -> None:
    # by falling score: fraud, genuine, fraud, genuine → 1/1 × 1/2 + 2/3 × 1/2
    assert average_precision(flags("1010"), np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(1 / 2 + 1 / 3)


def test_equal_scores_are_one_step_in_whatever_order_they_lie() -> None:
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    for fraud in (flags("01001"), flags("00101"), flags("00011")):
        # at 0.5: one fraud of four alerts; at 0.1: two of five
        assert average_precision(fraud, score) == pytest.approx(1 / 4 * 1 / 2 + 2 / 5 * 1 / 2)
        # pairs won: tied fraud beats the last genuine? there is none below it: 2 ties of 3, and the last loses all
        assert roc_auc(fraud, score) == pytest.approx((2 * 0.5) / 6)


def test_the_curve_has_a_point_a_distinct_score() -> None:
    found = curve(flags("1010"), np.array([0.9, 0.5, 0.5, 0.1]))
    assert found.threshold.tolist() == [0.9, 0.5, 0.1]
    assert found.precision.tolist() == pytest.approx([1.0, 2 / 3, 0.5])
    assert found.recall.tolist() == [0.5, 1.0, 1.0]


def test_nothing_can_be_said_where_one_kind_is_missing() -> None:
    score = np.array([0.1, 0.2])
    assert math.isnan(roc_auc(flags("00"), score))
    assert math.isnan(roc_auc(flags("11"), score))
    assert math.isnan(average_precision(flags("00"), score))
    assert math.isnan(average_precision(flags(""), np.empty(0)))
    assert len(curve(flags("00"), score).recall) == 0


rows = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


@given(rows)
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(drawn: list[tuple[bool, int]]) -> None:
    frauds = [score for fraud, score in drawn if fraud]
    genuine = [score for fraud, score in drawn if not fraud]
    pairs = [1.0 if one > other else 0.5 if one == other else 0.0 for one in frauds for other in genuine]
    found = roc_auc(np.array([fraud for fraud, _ in drawn]), np.array([float(score) for _, score in drawn]))
    assert math.isnan(found) if not pairs else found == pytest.approx(sum(pairs) / len(pairs))


@given(rows)
def test_average_precision_is_its_definition_at_every_threshold(drawn: list[tuple[bool, int]]) -> None:
    frauds = sum(fraud for fraud, _ in drawn)
    total, before = 0.0, 0.0
    for threshold in sorted({score for _, score in drawn}, reverse=True):
        alerts = [fraud for fraud, score in drawn if score >= threshold]
        recall = sum(alerts) / max(frauds, 1)
        total, before = total + (recall - before) * sum(alerts) / len(alerts), recall
    found = average_precision(np.array([fraud for fraud, _ in drawn]), np.array([float(score) for _, score in drawn]))
    assert math.isnan(found) if not frauds else found == pytest.approx(total)
