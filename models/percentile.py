"""How unusual a raw score is among recent ones: 0 (as usual as can be) to 100.

The learner freezes a grid of quantiles of recent raw scores in each snapshot; a scorer places new scores on it. Only
comparisons, additions, one product and one quotient per row: the result is the same in a batch of any size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS: tuple[float, ...] = (
    *(float(percent) for percent in range(100)),
    *(99.2, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9, 99.92, 99.94, 99.95, 99.96, 99.97, 99.98, 99.99),
    100.0,
)
"""Percentages at which quantiles are kept: fine where alerts are decided, at the top."""


@dataclass(frozen=True, slots=True, eq=False)
class Percentile:
    """``levels`` float64[k] rising from 0 to 100, ``quantiles`` float64[k] the raw scores there, never falling.
    Raises ValueError otherwise."""

    levels: Floats
    quantiles: Floats

    def __post_init__(self) -> None:
        levels, quantiles = self.levels, self.quantiles
        if levels.ndim != 1 or levels.shape != quantiles.shape or len(levels) < 2:
            raise ValueError("percentile grid: levels and quantiles must be two columns of the same length, 2 or more")
        if not (np.isfinite(levels).all() and np.isfinite(quantiles).all()):
            raise ValueError("percentile grid: not a finite number")
        if levels[0] != 0.0 or levels[-1] != 100.0 or not (np.diff(levels) > 0).all():
            raise ValueError("percentile grid: levels must rise from 0 to 100")
        if not (np.diff(quantiles) >= 0).all():
            raise ValueError("percentile grid: quantiles must not fall")

    @classmethod
    def from_scores(cls, raw: Floats) -> "Percentile":
        """The grid of ``raw`` (float64[n], n ≥ 1) at `LEVELS`: at each, the smallest score that at least so many
        percent do not exceed."""
        levels = np.array(LEVELS)
        ordered = np.sort(raw)
        ranks = np.ceil(levels * len(ordered) / 100.0).astype(np.intp) - 1
        return cls(levels, ordered[np.clip(ranks, 0, len(ordered) - 1)])

    def of(self, raw: Floats) -> Floats:
        """Percentile of each raw score, float64[n] in 0…100; a higher score never has a lower one.

        Between two quantiles on the line from one to the other; a score that equals several quantiles is in the
        middle of them, so that scores that are all the same are not all "the highest"."""
        levels, quantiles = self.levels, self.quantiles
        first = quantiles.searchsorted(raw, side="left")
        behind = quantiles.searchsorted(raw, side="right")
        last = len(levels) - 1
        low, high = np.clip(first - 1, 0, last), np.minimum(first, last)
        low_level, high_level, low_score = levels[low], levels[high], quantiles[low]
        gap = quantiles[high] - low_score
        share = (raw - low_score) / np.where(gap > 0.0, gap, 1.0)
        between = np.clip(low_level + (high_level - low_level) * share, low_level, high_level)
        equal = (levels[high] + levels[np.clip(behind - 1, 0, last)]) / 2.0
        placed = np.where(behind > first, equal, between)
        outside = np.where(first == 0, 0.0, 100.0)
        return np.where((behind == first) & ((first == 0) | (first > last)), outside, placed)


class RecentRows:
    """The last ``capacity`` rows learned, for taking a grid with the newest masses."""

    def __init__(self, capacity: int, columns: int) -> None:
        self._ring = np.empty((capacity, columns))
        self._scores = np.empty(capacity)
        self._added = 0
        self._scored = 0

    def __len__(self) -> int:
        return min(self._added, len(self._ring))

    def add(self, rows: Floats) -> None:
        """Add ``rows`` (float64[n, columns]), the oldest ones making room."""
        capacity = len(self._ring)
        kept = rows[-capacity:]
        places = (self._added + len(rows) - len(kept) + np.arange(len(kept))) % capacity
        self._ring[places] = kept
        self._added += len(rows)

    def scores(self, score: Callable[[Floats], Floats], steady: bool) -> Floats:
        """What ``score`` says of the rows kept, float64[len], in no promised order. ``steady``: what it said of a row when
        asked before is as good, and it is asked only about the others."""
        fresh = min(self._added - self._scored, len(self)) if steady else len(self)
        places = (self._added - fresh + np.arange(fresh)) % len(self._ring)
        self._scores[places] = score(self._ring[places])
        self._scored = self._added
        return self._scores[: len(self)]
