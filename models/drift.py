"""How far recent scores lie from earlier ones: the population stability index of two histograms.

Both fade with the rows that come, one over some thousands, the other over a hundred thousand: what came lately beside
what came for long. Below 0.1 nothing has changed, above 0.25 much has (the usual reading of the index, Siddiqi, "Credit
Risk Scorecards", 2006).
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997)
"""Bounds of the bins of what lies in 0…1, fine at both ends: for percentiles the upper, for probabilities the lower."""
RECENT_ROWS = 5_000.0
EARLIER_ROWS = 100_000.0
_FLOOR = 1e-4


class Drift:
    """Show it every score; 0 until there have been enough."""

    def __init__(self) -> None:
        self._recent = np.zeros(len(EDGES) + 1)
        self._earlier = np.zeros(len(EDGES) + 1)

    def after(self, values: Floats) -> float:
        """The index when ``values`` (float64[n], 0…1) have come besides."""
        counts = _histogram(values)
        self._recent = self._recent * math.exp(-len(values) / RECENT_ROWS) + counts
        self._earlier = self._earlier * math.exp(-len(values) / EARLIER_ROWS) + counts
        if self._earlier.sum() < 2 * RECENT_ROWS:
            return 0.0
        return index(self._recent, self._earlier)


def stability(values: Floats, others: Floats) -> float:
    """The index between two sets of values in 0…1, neither of them empty."""
    return index(_histogram(values), _histogram(others))


def index(counts: Floats, others: Floats) -> float:
    """The index between two histograms of the same bins, float64[k], neither of them empty."""
    recent, earlier = (np.maximum(bins / bins.sum(), _FLOOR) for bins in (counts, others))
    return float(((recent - earlier) * np.log(recent / earlier)).sum())


def _histogram(values: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(EDGES, values, side="right"), minlength=len(EDGES) + 1)
    return counts.astype(np.float64)
