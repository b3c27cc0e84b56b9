"""From the log-odds a model claims to the ones that came true: two numbers, learned row by row.

A model that learns from every row as it comes claims a little too much or too little where fraud is rare. The log-odds
z of each row, as they were before it was learned, say by how much: a + b z, with a and b by an online Newton step on the
log loss (Hazan, Agarwal and Kale, "Logarithmic regret algorithms for online convex optimization", 2007), here with the
curvature itself, from a = 0, b = 1 and as much trust in them as `TRUST` says.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRUST: Final = 100.0
"""Curvature the beginning stands for: about four hundred rows at even odds."""
MEMORY: Final = 100.0
"""Curvature that is remembered: what came so much of it ago counts for a third. Counted in rows, a bank with little fraud
would have forgotten before it had learned, and one with much would cling to what no longer holds."""
REACH: Final = 16.0
"""Log-odds beyond ± 16 (one in nine million) are held there."""
_STEPS: Final = 4_096
_GRID: Final = np.array([round(1.0 / (1.0 + math.exp(-z)), 12) for z in np.linspace(-REACH, REACH, _STEPS + 1)])


def probability(z: Floats, intercept: float = 0.0, slope: float = 1.0) -> Floats:
    """1 / (1 + e^−(intercept + slope z)), for ``z`` float64[n], by straight lines between 4,097 points: to 1e-6, and the same on every processor, as `exp` is not."""
    return _probability(np.ascontiguousarray(z, dtype=np.float64), intercept, slope, _GRID, REACH, _STEPS)


def probability_in_python(z: Floats, intercept: float, slope: float, grid: Floats, reach: float, steps: int) -> Floats:
    """The same by ``steps`` lines between ± ``reach`` on ``grid``, float64[steps + 1]."""
    at = (np.minimum(np.maximum(intercept + slope * z, -reach), reach) + reach) * (steps / (2.0 * reach))
    below = np.minimum(at.astype(np.intp), steps - 1)
    share = at - below
    result: Floats = grid[below] * (1.0 - share) + grid[below + 1] * share
    return result


_probability: Callable[[Floats, float, float, Floats, float, int], Floats]
try:
    from models import _logistic
except ImportError:
    _probability = probability_in_python
else:
    _probability = _logistic.probability


@dataclass(slots=True)
class Calibration:
    """``intercept`` a and ``slope`` b; ``aa``, ``ab``, ``bb`` the curvature so far."""

    intercept: float = 0.0
    slope: float = 1.0
    aa: float = TRUST
    ab: float = 0.0
    bb: float = TRUST

    def of(self, z: Floats) -> Floats:
        """Probability of fraud for log-odds ``z``, float64[n]."""
        return probability(z, self.intercept, self.slope)

    def learn(self, z: Floats, labels: Floats, weights: Floats) -> Floats:
        """Learn rows whose log-odds were ``z`` before the model learned them; ``weights`` below 0 are passed over. Returns
        what `of` would have said of each row before it was learned here, float64[n]."""
        a, b, aa, ab, bb = self.intercept, self.slope, self.aa, self.ab, self.bb
        lines = []
        for x, label, weight in zip(z.tolist(), labels.tolist(), weights.tolist(), strict=True):
            lines.append((a, b))
            if weight <= 0.0:
                continue
            x = min(max(x, -REACH), REACH)
            p = 1.0 / (1.0 + math.exp(-min(max(a + b * x, -REACH), REACH)))
            curvature, error = weight * p * (1.0 - p), weight * (p - label)
            kept = MEMORY / (MEMORY + curvature)
            aa, ab, bb = aa * kept + curvature, ab * kept + curvature * x, bb * kept + curvature * x * x
            scale = error / (aa * bb - ab * ab)
            a -= scale * (bb - ab * x)
            b = min(max(b - scale * (aa * x - ab), 0.2), 5.0)
        self.intercept, self.slope, self.aa, self.ab, self.bb = a, b, aa, ab, bb
        intercepts, slopes = np.array(lines).reshape(-1, 2).T
        return probability(intercepts + slopes * z)
