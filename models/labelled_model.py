"""What a classifier of labelled transactions is: the one contract that every kind of it keeps, and the kinds.

It sees the whole matrix of the catalogue, unscaled, learns row by row what came to be known of each, and is nothing but
numbers: `dump` and `load` give a classifier with equal scores and equal learning after.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models import river_logistic
from models.before import Before
from models.classifier import KIND, Classifier

Floats = NDArray[np.float64]


class LabelledModel(Protocol):
    """Of rows float64[n, C], NaN where something is missing."""

    kind: str
    """Under which name `load` knows it."""
    usual: Floats
    """float64[C]: a row as most are. What a row's columns add to the log odds is held against what these add."""

    @property
    def settled(self) -> bool:
        """Whether it has begun to learn. Before, there is nothing to dump, and `learn` may do nothing."""

    def observe(self, matrix: Floats) -> None:
        """Rows as they were scored, before anything is known of them."""

    def scores(self, matrix: Floats) -> Floats:
        """The probability of fraud of each row, float64[n], 0…1. It does not depend on the other rows."""

    def explained(self, matrix: Floats) -> Floats:
        """The same by those columns alone that do not come from labels."""

    def teach(self, matrix: Floats, labels: Floats, weights: Floats, /) -> Before:
        """Learn the rows in their order. ``labels`` float64[n], 1 fraud, 0 genuine; ``weights`` float64[n]: for how many
        rows each stands, below 0 to take back what it was told before: one step of the opposite sign, as it would be made
        now. To the bit what comes of teaching row after row."""

    def contributions(self, matrix: Floats) -> Mapping[str, Floats]:
        """What each group of columns adds to the log odds of each row, float64[n]."""

    def by_column(self, matrix: Floats) -> Floats:
        """What each column adds to the log odds of each row, float64[n, C]; a row's do not depend on the other rows."""

    def dump(self) -> Mapping[str, NDArray[np.generic]]:
        """All that it is, as arrays by name: finite float64, or float32 with NaN where something is missing."""


_KINDS: Mapping[str, Callable[[Mapping[str, NDArray[np.generic]]], LabelledModel]] = {
    KIND: Classifier.load,
    river_logistic.KIND: river_logistic.Logistic.load,
}


def load(kind: str, numbers: Mapping[str, NDArray[np.generic]]) -> LabelledModel:
    """The classifier that was dumped as ``numbers``. Raises ValueError when they are not a sound one of this kind."""
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of classifier {kind!r}")
    return _KINDS[kind](numbers)
