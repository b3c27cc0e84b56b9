"""Logistic regression over the scaled features, learned online by River, scored in NumPy.

Frauds are rare: each is learned as if there were `BALANCE` of it, which moves the log odds up by ln `BALANCE`, and the
scores move them down again by as much (King and Zeng, "Logistic Regression in Rare Events Data", 2001, prior
correction).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from river import linear_model, optim
from river.utils import VectorDict

from models.before import Before

Floats = NDArray[np.float64]

KIND: Final = "logistic"
RATE: Final = 0.02
BALANCE: Final = 10.0
_COLUMNS: Final = ("saturating", "low", "high", "missing")


class Logistic:
    """``scales`` float64[C, 4]: how each of the C features becomes 0…1, as (saturating 0 or 1, low, high, missing): x /
    (x + high), or straight from ``low`` to ``high``; ``missing`` what NaN becomes. The last ``derived`` of them come
    from labels. ``rate`` of learning; ``balance``: as how many each fraud is learned."""

    kind = KIND

    def __init__(self, scales: Floats, derived: int = 0, rate: float = RATE, balance: float = BALANCE) -> None:
        if scales.ndim != 2 or scales.shape[1] != len(_COLUMNS) or not len(scales) or not np.isfinite(scales).all():
            raise ValueError("scales must be finite float64[C, 4]")
        saturating, self._low, high, self._missing = scales.T.copy()
        if not 0 <= derived < len(scales):
            raise ValueError("there must be features that no label makes")
        self._scales = scales
        self._behaviour = len(scales) - derived
        self._slope = saturating
        self._offset = np.where(saturating > 0, high, high - self._low)
        if not (self._offset > 0).all() or not np.isin(saturating, (0.0, 1.0)).all():
            raise ValueError("a scale has no extent")
        self._names = list(range(len(scales)))
        if not (0 < rate <= 1 and 1 <= balance <= 1_000):
            raise ValueError("a rate above 0 up to 1, a balance from 1 to 1,000")
        self._rate, self._balance, self._correction = rate, balance, math.log(balance)
        self._river: Any = linear_model.LogisticRegression(optimizer=optim.SGD(rate))
        self._weights = np.zeros(len(scales))
        self.usual = np.full(len(scales), np.nan)  # what is missing is taken for ordinary: `Scale.missing`

    @classmethod
    def load(cls, state: Mapping[str, NDArray[np.generic]]) -> "Logistic":
        """The regression that was dumped. Raises ValueError."""
        numbers = {name: np.asarray(column, dtype=np.float64) for name, column in state.items()}
        if set(numbers) != {*_COLUMNS, "weights", "state"} or len({len(numbers[name]) for name in _COLUMNS}) != 1:
            raise ValueError("not the columns of a logistic regression")
        weights, rest = numbers["weights"], numbers["state"]
        if rest.shape != (5,) or not np.isfinite(rest).all():
            raise ValueError("intercept, steps, number of features that come from labels, rate and balance are five")
        made = cls(np.column_stack([numbers[name] for name in _COLUMNS]), int(rest[2]), float(rest[3]), float(rest[4]))
        if weights.shape != made._weights.shape or not np.isfinite(weights).all():
            raise ValueError("one weight for each feature")
        made._river._weights = VectorDict(dict(zip(made._names, weights.tolist(), strict=True)))
        made._river.intercept = float(rest[0])
        made._river.optimizer.n_iterations = int(rest[1])
        made._weights = weights.copy()
        return made

    def dump(self) -> dict[str, Floats]:
        columns = dict(zip(_COLUMNS, self._scales.T.copy(), strict=True))
        river, derived = self._river, len(self._weights) - self._behaviour
        state = np.array([river.intercept, river.optimizer.n_iterations, derived, self._rate, self._balance])
        return {**columns, "weights": self._weights.copy(), "state": state}

    def teach(self, matrix: Floats, labels: Floats, weights: Floats) -> Before:
        said, explained = np.empty(len(matrix)), np.empty(len(matrix))
        for row in range(len(matrix)):
            one = slice(row, row + 1)
            explained[one] = self.explained(matrix[one])
            said[one] = self.learn(matrix[one], labels[one], weights[one])
        return Before(said, explained)

    def learn(self, matrix: Floats, labels: Floats, weights: Floats) -> Floats:
        fraud = labels > 0.5
        said = np.empty(len(matrix))
        balanced = np.where(fraud, weights * self._balance, weights).tolist()
        learn_one, names = self._river.learn_one, self._names
        odds_of = self._river._raw_dot_one
        for place, (row, is_fraud, times) in enumerate(
            zip(self._unit(matrix).tolist(), fraud.tolist(), balanced, strict=True)
        ):
            features = dict(zip(names, row, strict=True))
            said[place] = 1.0 / (1.0 + math.exp(self._correction - float(odds_of(features))))
            learn_one(features, is_fraud, w=times)
        learned = self._river.weights
        self._weights = np.array([learned.get(name, 0.0) for name in names])
        return said

    def score_one(self, row: Floats) -> float:
        """River's own probability for one row, before the correction: what `scores` is held against."""
        unit = self._unit(row[None, :])[0].tolist()
        return float(self._river.predict_proba_one(dict(zip(self._names, unit, strict=True)))[True])

    def unlearn(self, matrix: Floats, labels: Floats, weights: Floats) -> None:
        self.learn(matrix, labels, -weights)

    @property
    def settled(self) -> bool:
        return True

    def observe(self, matrix: Floats) -> None:
        """Scales are fixed: nothing is to be seen from rows without labels."""

    def scores(self, matrix: Floats) -> Floats:
        return self._probability(self.by_column(matrix))

    def explained(self, matrix: Floats) -> Floats:
        return self._probability(self.by_column(matrix)[:, : self._behaviour])

    def _probability(self, each: Floats) -> Floats:
        odds = each.sum(axis=1) + (float(self._river.intercept) - self._correction)
        probability: Floats = 1.0 / (1.0 + np.exp(-odds))
        return probability

    def contributions(self, matrix: Floats) -> dict[str, Floats]:
        each = self.by_column(matrix)
        return {"behaviour": each[:, : self._behaviour].sum(axis=1), "labels": each[:, self._behaviour :].sum(axis=1)}

    def by_column(self, matrix: Floats) -> Floats:
        each: Floats = self._unit(matrix) * self._weights
        return each

    def _unit(self, matrix: Floats) -> Floats:
        if matrix.ndim != 2 or matrix.shape[1] != len(self._weights):
            raise ValueError(f"the classifier takes {len(self._weights)} features a row, not shape {matrix.shape}")
        x = np.maximum(matrix, self._low)
        unit = np.minimum((x - self._low) / (x * self._slope + self._offset), 1.0)
        known: Floats = np.where(unit == unit, unit, self._missing)
        return known
