"""Card precision@k, account and value detection, worked by hand."""

import numpy as np
import pytest

from pipeline.lab.evaluate.cards import card_precision
from pipeline.lab.evaluate.detection import detection


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, dtype=np.int32)


def test_of_the_k_riskiest_cards_of_a_day_the_share_that_had_a_fraud_that_day() -> None:
    # day 0: cards by highest score 0 (fraud, though by a lower one), 1, 2 (fraud)
    called = card_precision(
        day=np.array([0, 0, 0, 0]),
        card=ints(0, 0, 1, 2),
        fraud=np.array([False, True, False, True]),
        score=np.array([0.9, 0.2, 0.8, 0.7]),
        days=[0],
        k=2,
    )
    assert [(each.precision, each.best) for each in called] == [(0.5, 1.0)]


def test_a_card_that_was_found_is_out_of_the_running_and_one_that_was_missed_is_not() -> None:
    called = card_precision(
        day=np.array([0, 0, 1, 1, 1]),
        card=ints(0, 1, 0, 1, 2),
        fraud=np.array([True, True, True, True, False]),
        score=np.array([0.9, 0.1, 0.9, 0.5, 0.4]),
        days=[0, 1],
        k=1,
    )
    assert [each.precision for each in called] == [1.0, 1.0]  # day 1: card 0 is gone, card 1 is next
    assert [each.best for each in called] == [1.0, 1.0]


def test_a_called_card_without_a_fraud_that_day_stays_in_the_running() -> None:
    called = card_precision(
        day=np.array([0, 1]),
        card=ints(0, 0),
        fraud=np.array([False, True]),
        score=np.array([0.9, 0.9]),
        days=[0, 1],
        k=1,
    )
    assert [each.precision for each in called] == [0.0, 1.0]


def test_a_day_with_fewer_cards_than_calls_and_an_empty_one() -> None:
    called = card_precision(
        day=np.array([0]), card=ints(0), fraud=np.array([True]), score=np.array([0.9]), days=[0, 1], k=4
    )
    assert [(each.precision, each.best) for each in called] == [(0.25, 0.25), (0.0, 0.0)]


def test_of_equal_scores_the_card_that_appeared_first_is_called() -> None:
    called = card_precision(
        day=np.array([0, 0]), card=ints(1, 0), fraud=np.array([True, False]), score=np.array([0.5, 0.5]), days=[0], k=1
    )
    assert called[0].precision == 0.0


# cards 0 and 1 bad, 2 to 5 good; in order of time
CARD = ints(0, 2, 0, 0, 1, 3, 4, 5, 0)
FRAUD = np.array([False, False, True, True, True, False, False, False, True])
SCORE = np.array([0.99, 0.8, 0.3, 0.9, 0.4, 0.6, 0.5, 0.2, 0.1])
AMOUNT = np.array([1.0, 1, 100, 200, 300, 1, 1, 1, 400])


def test_detection_counts_cards_and_money_from_the_first_fraud_on() -> None:
    found = detection(CARD, FRAUD, SCORE, AMOUNT, ratio=1)
    # by highest counting score: card 0 (0.9; its 0.99 came before the fraud), 2 (0.8), 3, 4, 1 (0.4), 5
    # thresholds: 0.9 → 1:0, 0.8 → 1:1, 0.6 → 1:2, 0.5 → 1:3, 0.4 → 2:3, 0.2 → 2:4
    assert (found.threshold, found.ratio, found.accounts) == (0.8, 1.0, 0.5)
    assert found.value == pytest.approx((200 + 400) / 1000)  # from the alert on card 0 on
    assert found.savable == pytest.approx(400 / 1000)  # what came after it


def test_a_looser_ratio_finds_more() -> None:
    found = detection(CARD, FRAUD, SCORE, AMOUNT, ratio=1.5)
    assert (found.threshold, found.ratio, found.accounts) == (0.4, 1.5, 1.0)
    assert found.value == pytest.approx((200 + 400 + 300) / 1000)
    assert found.savable == pytest.approx(400 / 1000)


def test_no_threshold_keeps_the_ratio() -> None:
    found = detection(ints(0, 1, 2), np.array([True, False, False]), np.array([0.1, 0.9, 0.9]), np.ones(3), ratio=1)
    assert (found.threshold, found.ratio, found.accounts, found.value) == (None, None, 0.0, 0.0)


def test_without_a_fraud_there_is_nothing_to_detect() -> None:
    assert detection(ints(0), np.array([False]), np.ones(1), np.ones(1), ratio=5).accounts is None
