"""What the learner remembers of the latest rows to judge a model by: a systematic sample of them, and what was told of
labelled ones before their label was learned."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.bands import Reliability, reliability

Floats = NDArray[np.float64]

SAMPLE_ROWS = 2_000
EVERY = 5
"""Of so many rows one is kept: the sample reaches back ten thousand."""
TOLD_ROWS = 5_000
LEAST_FRAUDS = 20
"""Of fewer, no average precision is told."""


class RowSample:
    """The newest `SAMPLE_ROWS` of every `EVERY`-th row."""

    def __init__(self) -> None:
        self._rows: Floats | None = None
        self._size = 0
        self._next = 0
        self._skip = 0

    def add(self, rows: Floats) -> None:
        """``rows`` float64[n, C], all of one width."""
        taken = rows[self._skip :: EVERY]
        self._skip = (self._skip - len(rows)) % EVERY
        if self._rows is None:
            self._rows = np.empty((SAMPLE_ROWS, rows.shape[1]))
        for start in range(0, len(taken), SAMPLE_ROWS):
            part = taken[start : start + SAMPLE_ROWS]
            places = (self._next + np.arange(len(part))) % SAMPLE_ROWS
            self._rows[places] = part
            self._next = int(places[-1]) + 1
            self._size = min(self._size + len(part), SAMPLE_ROWS)

    def rows(self) -> Floats:
        """float64[k, C], in no order; float64[0, 0] before the first."""
        return np.empty((0, 0)) if self._rows is None else self._rows[: self._size]


class Told:
    """The newest `TOLD_ROWS` labelled rows: probability told before, truth, for how many rows each stands."""

    def __init__(self) -> None:
        self._rows = np.empty((TOLD_ROWS, 3))
        self._count = 0

    def add_all(self, said: Sequence[float], frauds: Sequence[bool], weights: Sequence[float]) -> None:
        """Rows in their order, columns of one length."""
        newest = slice(-TOLD_ROWS, None)
        columns = np.array([said[newest], frauds[newest], weights[newest]], dtype=np.float64).T
        first = self._count + len(said) - len(columns)
        self._rows[(first + np.arange(len(columns))) % TOLD_ROWS] = columns
        self._count += len(said)

    def rows(self) -> Floats:
        """float64[k, 3], in no order."""
        return self._rows[: min(self._count, TOLD_ROWS)]

    def average_precision(self) -> float | None:
        """Of these rows, each as often as it stands for (ties in any order); None with fewer than `LEAST_FRAUDS` frauds."""
        said, fraud, weight = self.rows().T
        if fraud.sum() < LEAST_FRAUDS:
            return None
        order = np.argsort(-said, kind="stable")
        caught, all_ = np.cumsum((fraud * weight)[order]), np.cumsum(weight[order])
        return float(((fraud * weight)[order] * caught / all_).sum() / caught[-1])

    def reliability(self) -> Reliability:
        return reliability(*self.rows().T)
