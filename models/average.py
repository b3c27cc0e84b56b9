"""The running average of a model's weights, beside which the weights themselves are half of what is said.

Weights that learn from every row swing round what they are after, by as much as the last rows happened to say; their
average swings less, and is late. The mean of both is closer than either. (Polyak and Juditsky, "Acceleration of
stochastic approximation by averaging", 1992; here with a memory, because fraud moves on.)

The average moves once in `EVERY` rows, sooner while there were few: all of it at once, which costs a row less than
looking up whether one of its weights is behind.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.logistic import Logistic, Terms

EVERY: Final = 1_024
SHARE: Final = 0.02
"""Of the way to the weights at each move: an average over some fifty thousand rows, and over all while there are fewer."""


class Average:
    """Of the weights of ``model``, a new one of ``terms`` that `models.logistic.learn` then changes; `after` is told of each
    row. ``values`` float32[count], half as large in a snapshot as the weights are; with too many weights for the ``room``
    in bytes none at all, and what is said is by the weights alone. ``rows`` learned so far."""

    def __init__(self, terms: Terms, room: int) -> None:
        values = np.zeros(terms.count, dtype=np.float32)
        worth_it = 2 * values.nbytes <= room  # kept rows need the rest, and are worth more
        self.values = values if worth_it else values[:0]
        self.model = Logistic.new(terms, self.values if len(self.values) else None)
        self.rows = 0
        self._saying = Logistic.new(terms)
        self._stale = False

    @property
    def due(self) -> int:
        """After how many more rows it moves: after the first, second, fourth … and then after each `EVERY`."""
        return (EVERY if self.rows >= EVERY else 1 << self.rows.bit_length()) - self.rows % EVERY

    def after(self, rows: int) -> None:
        """The model has learned ``rows`` more, at most `due`."""
        due, self._stale = self.due, True
        self.rows += rows
        if rows == due and len(self.values):
            last = self.rows - EVERY if self.rows > EVERY else self.rows // 2
            share = max(SHARE, (self.rows - last) / self.rows)
            self.values[:] = self.values + share * (self.model.weights - self.values)

    @property
    def saying(self) -> Logistic:
        """The mean of weights and average, folded into one when it is first asked for: saying costs no more than without."""
        if self._stale:
            weights = self.model.weights
            self._saying.weights[:] = (weights + self.values) * 0.5 if len(self.values) else weights
            self._stale = False
        return self._saying

    def dump(self) -> dict[str, NDArray[np.generic]]:
        """It alone, without the model."""
        return {"average": self.values.copy(), "average_rows": np.array([float(self.rows)])}

    def take(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """What was dumped as ``state``; the model is what it was then. Raises ValueError, KeyError."""
        found = np.asarray(state["average"], dtype=np.float32)
        rows = np.asarray(state["average_rows"], dtype=np.float64)
        if found.shape != self.values.shape or not np.isfinite(found).all():
            raise ValueError(f"average: {found.shape} numbers, not {self.values.shape}, or one that is none")
        if rows.shape != (1,) or not rows[0] >= 0.0:
            raise ValueError("the average is of fewer than no rows")
        self.values[:] = found
        self.rows, self._stale = int(rows[0]), True
