"""Which transactions a fold is measured on."""

import numpy as np
import pytest

from pipeline.lab.evaluate.folds import DAY_S, FoldPlan, NoFolds, base_rate, cut
from pipeline.lab.evaluate.seen import Transactions


def stream(*rows: tuple[float, int, bool]) -> Transactions:
    """Day, card and truth of each transaction."""
    n = len(rows)
    return Transactions(
        np.array([day * DAY_S for day, _, _ in rows]),
        np.zeros(n),
        np.zeros(n),
        np.ones(n),
        np.array([card for _, card, _ in rows], dtype=np.int32),
        np.array([fraud for _, _, fraud in rows]),
        np.full(n, -1, dtype=np.int16),
        np.zeros(n, dtype=np.uint8),
        (),
    )


def daily(days: int) -> Transactions:
    return stream(*((day + 0.5, 9, False) for day in range(days)))


def test_folds_end_with_the_stream_and_follow_each_other() -> None:
    folds = cut(daily(40), 0.0, FoldPlan(4, 7), 7 * DAY_S)
    assert [(fold.start, fold.end) for fold in folds] == [(12, 19), (19, 26), (26, 33), (33, 40)]
    assert [int(fold.rows.sum()) for fold in folds] == [7, 7, 7, 7]


def test_folds_can_begin_on_a_day_of_choice() -> None:
    (fold,) = cut(daily(40), 0.0, FoldPlan(1, 3, first_day=5), 0.0)
    assert (fold.start, fold.end) == (5, 8)


@pytest.mark.parametrize("plan", [FoldPlan(4, 7), FoldPlan(1, 28), FoldPlan(1, 7, first_day=22)])
def test_folds_that_do_not_fit_are_refused(plan: FoldPlan) -> None:
    with pytest.raises(NoFolds, match="stream of 28 days"):
        cut(daily(28), 0.0, plan, 7 * DAY_S)


def test_a_card_with_a_fraud_whose_label_is_there_is_left_out_from_that_day_on() -> None:
    # fold: days 10 to 16, labels 2 days late; known are frauds of days 1 to (today − 3)
    rows = [(1.5, 1, True), (0.5, 2, True), (9.5, 3, True), (10.5, 4, True)]
    rows += [(day + 0.5, card, False) for day in range(10, 17) for card in (1, 2, 3, 4, 5)]
    rows.sort()
    transactions = stream(*rows)
    (fold,) = cut(transactions, 0.0, FoldPlan(1, 7), 2 * DAY_S)
    days_tested = {card: fold.day[fold.test & (transactions.card == card)].tolist() for card in (1, 2, 3, 4, 5)}
    assert days_tested[1] == []  # known from the start
    assert days_tested[2] == [*range(10, 17)]  # longer ago than a weekly model is trained on
    assert days_tested[3] == [10, 11]  # of day 9: known on day 12
    assert days_tested[4] == [10, 10, 11, 12]  # of day 10: known on day 13
    assert days_tested[5] == [*range(10, 17)]
    assert fold.rows.sum() == 36


def test_the_base_rate_is_of_what_is_labelled_when_the_fold_begins() -> None:
    rows = [(0.5, 1, True), (1.5, 1, False), (2.5, 1, False), (3.5, 1, False), (4.5, 1, True), *((day + 0.5, 1, True) for day in range(5, 12))]  # fmt: skip
    transactions = stream(*rows)
    (fold,) = cut(transactions, 0.0, FoldPlan(1, 6), 2 * DAY_S)
    assert base_rate(transactions, fold, 2 * DAY_S) == 0.25
    assert np.isnan(base_rate(transactions, fold, 30 * DAY_S))
