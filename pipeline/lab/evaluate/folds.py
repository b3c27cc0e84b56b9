"""Which transactions a fold is measured on: whole days at the end of the stream, without cards already known to be bad.

Days have 24 hours from the midnight before the first transaction, in the zone that its time is written in. The set of
known cards follows the usual protocol for this kind of data (Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible
Machine Learning for Credit Card Fraud Detection", chapter 5): on each test day the cards with a fraud whose label is
there by now, from those of the week before on that a weekly model would have been trained with.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.lab.evaluate.seen import Transactions

DAY_S = 86_400.0
NEVER_S = float("inf")
"""As a delay of labels: none is ever shown."""
KNOWN_DAYS = 7
"""Days of labelled frauds before the first test day that make a card a known one."""

Days = NDArray[np.int64]


class FoldPlan(NamedTuple):
    """``folds`` of ``days`` days each, one after the other; ``first_day`` None: they end where the stream ends."""

    folds: int = 4
    days: int = 7
    first_day: int | None = None


class Fold(NamedTuple):
    """Days from ``start`` to before ``end``. ``rows`` bool[n] all its transactions, ``test`` those of cards not yet known
    to be bad, ``day`` int64[n] of every transaction."""

    start: int
    end: int
    rows: NDArray[np.bool_]
    test: NDArray[np.bool_]
    day: Days


class NoFolds(ValueError):
    """The stream is too short for the folds asked for: a sentence for who asked."""


def day_of(at: NDArray[np.float64], midnight: float) -> Days:
    """Days since ``midnight`` (unix seconds), int64[n]."""
    days: Days = np.floor((at - midnight) / DAY_S).astype(np.int64)
    return days


def cut(transactions: Transactions, midnight: float, plan: FoldPlan, label_delay_s: float) -> list[Fold]:
    """The folds of ``plan``. Raises NoFolds when they reach beyond the stream; the day before the first one must have
    transactions, for a model has to come from somewhere."""
    day = day_of(transactions.at, midnight)
    last = int(day[-1]) + 1 if len(day) else 0
    first = last - plan.folds * plan.days if plan.first_day is None else plan.first_day
    if first < 1 or first + plan.folds * plan.days > last:
        raise NoFolds(
            f"{plan.folds} folds of {plan.days} days from day {max(first, 0)} on do not fit into a stream of {last} days "
            "with a day before them: ask for fewer or shorter ones"
        )
    delay_days = _days(label_delay_s)
    starts = range(first, first + plan.folds * plan.days, plan.days)
    return [_fold(transactions, day, start, start + plan.days, delay_days) for start in starts]


def _fold(transactions: Transactions, day: Days, start: int, end: int, delay_days: int) -> Fold:
    rows = (day >= start) & (day < end)
    test = rows.copy()
    earliest = start - delay_days - KNOWN_DAYS
    for today in range(start, end):
        labelled = transactions.fraud & (day >= earliest) & (day < today - delay_days)
        known = np.unique(transactions.card[labelled])
        now = np.flatnonzero(day == today)
        test[now[np.isin(transactions.card[now], known)]] = False
    return Fold(start, end, rows, test, day)


def _days(label_delay_s: float) -> int:
    """Whole days that labels are late; where none comes, more than any stream has."""
    return 10**9 if label_delay_s == NEVER_S else int(np.ceil(label_delay_s / DAY_S))


def base_rate(transactions: Transactions, fold: Fold, label_delay_s: float) -> float:
    """The share of fraud among what is labelled when the fold begins; NaN where nothing is."""
    labelled = fold.day < fold.start - _days(label_delay_s)
    return float(transactions.fraud[labelled].mean()) if labelled.any() else float("nan")
