"""Card precision@k: of the k cards that would be called each day, the share that had a fraud that day."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Called(msgspec.Struct, frozen=True):
    """One day: ``precision`` among its k cards, ``best`` what was possible (fewer than k cards may be bad)."""

    day: int
    precision: float
    best: float


def card_precision(
    day: NDArray[np.int64],
    card: NDArray[np.int32],
    fraud: NDArray[np.bool_],
    score: Floats,
    days: Sequence[int],
    k: int,
) -> list[Called]:
    """For each of ``days`` the ``k`` cards with the highest score of that day; a card found (called on a day it had a
    fraud) is out of the running on later ones. Equal scores: the lower card number, which appeared first.

    Columns are of length n, of the transactions of cards not yet known to be bad. A day's precision is over k cards
    even if there are fewer.
    """
    found = np.empty(0, dtype=card.dtype)
    result = []
    for today in days:
        now = np.flatnonzero(day == today)
        now = now[~np.isin(card[now], found)]
        cards, line = np.unique(card[now], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, line, score[now])
        bad = np.zeros(len(cards), dtype=np.bool_)
        np.logical_or.at(bad, line, fraud[now])
        top = np.argsort(-highest, kind="stable")[:k]
        hits = top[bad[top]]
        result.append(Called(today, len(hits) / k, min(int(bad.sum()), k) / k))
        found = np.append(found, cards[hits])
    return result
