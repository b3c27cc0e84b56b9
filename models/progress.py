"""How well a classifier has done so far, and whether its word counts yet.

Each labelled row is scored before it is learned, and its log loss put beside that of the prior curve on the same row.
A classifier qualifies when it has seen enough of both kinds and has lately done better than the curve. Enough of the
genuine means rows that nobody looked at, too: one that knows only what was called about takes everybody for a caller.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

LEAST_FRAUDS = 50
LEAST_ORDINARY = 1_000
ORDINARY_BELOW = 95.0
"""A row with a lower percentile was looked at by nobody: its label came with time, not because of its score."""
MEMORY = 5_000.0
"""Rows over which the recent loss is taken: an older one counts e-fold less each time so many have come."""
_KEEP = math.exp(-1.0 / MEMORY)
_CERTAIN = 1e-6


class Progress(NamedTuple):
    """``frauds``, ``genuine``, ``ordinary``: rows learned (an ordinary genuine row is one of both); ``loss`` and
    ``prior_loss``: sums of log losses over recent rows, ``weight`` of what they are sums."""

    frauds: float = 0.0
    genuine: float = 0.0
    ordinary: float = 0.0
    loss: float = 0.0
    prior_loss: float = 0.0
    weight: float = 0.0

    def after_all(
        self,
        frauds: Sequence[bool],
        percentiles: Sequence[float],
        weights: Sequence[float],
        said: Sequence[float],
        prior: Sequence[float],
    ) -> "Progress":
        """More rows, one after the other: each stands for its weight; ``said`` the classifier's probability before it
        learned the row, ``prior`` the curve's."""
        fraud_rows, genuine, ordinary, loss, prior_loss, weight = self
        for fraud, percentile, times, told, curve in zip(frauds, percentiles, weights, said, prior, strict=True):
            fraud_rows += fraud
            genuine += not fraud
            ordinary += not fraud and percentile < ORDINARY_BELOW
            loss = loss * _KEEP + times * _log_loss(told, fraud)
            prior_loss = prior_loss * _KEEP + times * _log_loss(curve, fraud)
            weight = weight * _KEEP + times
        return Progress(fraud_rows, genuine, ordinary, loss, prior_loss, weight)

    @property
    def qualified(self) -> bool:
        return self.frauds >= LEAST_FRAUDS and self.ordinary >= LEAST_ORDINARY and self.loss < self.prior_loss


def _log_loss(probability: float, fraud: bool) -> float:
    held = min(max(probability, _CERTAIN), 1.0 - _CERTAIN)
    return -math.log(held if fraud else 1.0 - held)
