"""The model a scorer holds: features in, raw score, percentile and probability of fraud out.

Its detector says how unusual a row is (`models.detector`). The probability is the classifier's of labelled transactions once that has
qualified (`models.progress`); before, it is the prior curve's on the percentile.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibrate import PriorCurve
from models.labelled_model import load
from models.snapshot import Snapshot

Floats = NDArray[np.float64]

DAY_ONE_VERSION = "day-one-uncalibrated"
DAY_ONE_PERCENTILE = 50.0


class Scores(NamedTuple):
    """Per row, float64[n]: ``raw`` as the detector gives it, ``percentile`` 0…100 among recent rows, ``score`` the
    probability of fraud, 0…1."""

    raw: Floats
    percentile: Floats
    score: Floats


class Model:
    """A snapshot and the curve that makes probabilities of it until its classifier does; without a snapshot, the model before any learning.
    Immutable, and the scores of a row do not depend on the other rows."""

    __slots__ = ("_usual", "classifier", "curve", "layout", "snapshot", "version")

    def __init__(self, snapshot: Snapshot | None, curve: PriorCurve, layout: str, version: str) -> None:
        self.snapshot = snapshot
        qualified = snapshot.labelled if snapshot is not None and snapshot.qualified else None
        self.classifier = None if qualified is None else load(qualified.kind, qualified.numbers)
        self._usual = None if self.classifier is None else self.classifier.by_column(self.classifier.usual[None, :])
        self.curve = curve
        self.layout = layout
        self.version = version

    @classmethod
    def trained(cls, snapshot: Snapshot, curve: PriorCurve) -> "Model":
        return cls(snapshot, curve, snapshot.layout, snapshot.version)

    @classmethod
    def day_one(cls, layout: str, curve: PriorCurve) -> "Model":
        """Before anything was learned nothing is unusual: raw 0 (as River before its first window), percentile 50,
        score the base rate. Rules work from the first transaction all the same."""
        return cls(None, curve, layout, DAY_ONE_VERSION)

    @property
    def warming_up(self) -> bool:
        """True until the model has learned a whole window."""
        return self.snapshot is None

    @property
    def as_of(self) -> float | None:
        """The newest event time it has learned from, unix seconds; None before any learning."""
        return None if self.snapshot is None else self.snapshot.as_of

    def scores(self, matrix: Floats) -> Scores:
        """Scores of the rows of ``matrix``, float64[n, C], the whole catalogue in its units. Raises IndexError or ValueError
        when that is too narrow."""
        if self.snapshot is None:
            n = len(matrix)
            return Scores(np.zeros(n), np.full(n, DAY_ONE_PERCENTILE), np.full(n, self.curve.base_rate))
        detector = self.snapshot.detector
        raw = detector.score(detector.see(matrix))
        percentile = self.snapshot.percentile.of(raw)
        score = self.curve.of(percentile) if self.classifier is None else self.classifier.scores(matrix)
        return Scores(raw, percentile, score)

    def grounds(self, matrix: Floats) -> Floats | None:
        """How much more each column of ``matrix``, float64[n, C], adds to the log odds of fraud than it does in a usual
        row: float64[n, C]. None while no classifier gives the probability."""
        if self.classifier is None or self._usual is None:
            return None
        more: Floats = self.classifier.by_column(matrix) - self._usual
        return more
