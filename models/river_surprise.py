"""The surprise of `models.surprise` as one of River's anomaly detectors: a row at a time, in plain Python.

`models.surprise` is how it is run here, thousands of rows at once; this is what it means, and for any pipeline of River's.
Both give the same scores to the bit.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

import numpy as np
from river.base import AnomalyDetector

from models.surprise import CAP, LOGS
from models.systematic_sample import CAPACITY

_LOGS: Final = LOGS.tolist()


class TailSurprise(AnomalyDetector):  # type: ignore[misc]  # River has no types
    """The sum of surprises of a row's features among a sample of earlier rows, from 0, as usual as can be, up to 6 a feature.

    Parameters
    ----------
    horizon_s
        How far back the sample reaches, in seconds of ``t``.

    Examples
    --------
    >>> usual = TailSurprise()
    >>> for number in range(1_000):
    ...     usual.learn_one({"amount": number % 100, "abroad": number % 50 == 0})
    >>> round(usual.score_one({"amount": 10, "abroad": 0}), 3)
    0.105
    >>> round(usual.score_one({"amount": 99, "abroad": 1}), 3)
    8.445

    """

    def __init__(self, horizon_s: float = 30 * 86_400.0) -> None:
        self.horizon_s = horizon_s
        self.seen = 0
        self.stride = 1
        self._rows: list[tuple[float | None, dict[str, float]]] = []
        self._sorted: dict[str, list[float]] | None = None

    def learn_one(self, x: Mapping[str, float], t: float | None = None) -> None:
        """Learn the features ``x`` of a row of time ``t``, unix seconds; without times, every part of the past counts
        alike."""
        number = self.seen
        self.seen += 1
        if number % self.stride:
            return
        if len(self._rows) == CAPACITY:
            oldest = self._rows[0][0]
            if t is not None and oldest is not None and t - oldest >= self.horizon_s:
                del self._rows[0]
            else:
                self._rows = self._rows[number // self.stride % 2 :: 2]
                self.stride *= 2
                if number % self.stride:
                    return
        self._rows.append((t, {name: _single(value) for name, value in x.items()}))
        self._sorted = None

    def score_one(self, x: Mapping[str, float]) -> float:
        """How unusual ``x`` is. Raises nothing: what has not been seen yet does not surprise."""
        if self._sorted is None:
            self._sorted = {}
            for _, row in self._rows:
                for name, value in row.items():
                    if not math.isnan(value):
                        self._sorted.setdefault(name, []).append(value)
            for values in self._sorted.values():
                values.sort()
        total = 0.0
        for name, value in x.items():
            known, single = self._sorted.get(name, []), _single(value)
            if not math.isnan(single):
                reach = len(known) - bisect_left(known, single)
                total += min(_LOGS[len(known)] - _LOGS[reach], CAP)
        return total


def _single(value: float) -> float:
    """``value`` as a number of four bytes holds it."""
    return float(np.float32(value))
