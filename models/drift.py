"""How far what comes lies from what came when the champion began: the population stability index, by feature and score.

Of every fifth row each column is counted in ten bins, chosen from the column itself, and one for what is missing. The
reference is counted once, over a day at least; beside it stands the last day, older rows counting e-fold less each day.
Below 0.1 nothing has changed, above 0.25 much has (the usual reading of the index, Siddiqi, "Credit Risk Scorecards",
2006).
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997)
"""Bounds of the bins of what lies in 0…1, fine at both ends: for percentiles the upper, for probabilities the lower."""
EVERY = 5
"""Of so many rows one is counted."""
CHUNK_ROWS = 500
"""Rows are counted so many at a time: one by one, a column's search would cost more than the learning."""
EDGE_ROWS = 1_000
"""Rows that a column's bins are chosen from."""
REFERENCE_ROWS = 2_000
REFERENCE_S = 86_400.0
"""The reference has at least so many rows, over at least so long."""
LEAST_ROWS = 500
"""Of the last day; with fewer, no index is told."""
DAY_S = 86_400.0
_BINS = 10
_FLOOR = 1e-4


class Kept(msgspec.Struct, frozen=True):
    """A reference that is to outlive the process: ``columns`` their names; ``edges`` float64[C, 9] and ``counts`` float64[C,
    11] row-major; from event time ``since`` to ``until``; ``rows`` counted."""

    columns: list[str]
    edges: bytes
    counts: bytes
    rows: int
    since: float
    until: float


class ColumnDrift:
    """Of the columns ``names``."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._skip = 0
        self._waiting: list[Floats] = []
        self._size = 0
        self._edges: Floats | None = None
        self._reference = np.zeros((len(self._names), _BINS + 1))
        self._day = self._reference.copy()
        self._rows = 0
        self._since = self._until = self._as_of = 0.0

    def add(self, rows: Floats, as_of: float) -> bool:
        """``rows`` float64[n, C], the newest of event time ``as_of``. Whether anything was counted."""
        taken = rows[self._skip :: EVERY]
        self._skip = (self._skip - len(rows)) % EVERY
        if len(taken):
            self._waiting.append(taken)
            self._size += len(taken)
        if self._size < (EDGE_ROWS if self._edges is None else CHUNK_ROWS):
            return False
        self._count(np.concatenate(self._waiting), as_of)
        self._waiting, self._size = [], 0
        return True

    def indices(self) -> dict[str, float]:
        """The index of each column; 0 for all until reference and day have enough rows."""
        if not self._settled or self._day[0].sum() < LEAST_ROWS:
            return dict.fromkeys(self._names, 0.0)
        return {name: index(self._day[at], self._reference[at]) for at, name in enumerate(self._names)}

    @property
    def _settled(self) -> bool:
        return self._rows >= REFERENCE_ROWS and self._until - self._since >= REFERENCE_S

    def _count(self, rows: Floats, as_of: float) -> None:
        if self._edges is None:
            self._edges = _edges(rows)
            self._since = self._as_of = as_of
        counts = np.array(
            [
                np.bincount(np.searchsorted(edges, column, side="right") + np.isnan(column), minlength=_BINS + 1)
                for edges, column in zip(self._edges, rows.T, strict=True)
            ]
        ).astype(np.float64)  # NaN lies above every edge, and once more for the bin of its own
        if not self._settled:
            self._reference += counts
            self._rows += len(rows)
            self._until = max(self._until, as_of)
        self._day = self._day * math.exp(-max(as_of - self._as_of, 0.0) / DAY_S) + counts
        self._as_of = max(self._as_of, as_of)

    def keep(self) -> Kept | None:
        """The reference; None before its bins are chosen."""
        if self._edges is None:
            return None
        return Kept(
            list(self._names), self._edges.tobytes(), self._reference.tobytes(), self._rows, self._since, self._until
        )

    def resume(self, kept: Kept) -> None:
        """Go on with the reference ``kept``; where its columns are others, with none."""
        columns = len(self._names)
        if tuple(kept.columns) != self._names or len(kept.edges) != 8 * columns * (_BINS - 1):
            return
        if len(kept.counts) != 8 * columns * (_BINS + 1):
            return
        self._edges = np.frombuffer(kept.edges).reshape(columns, -1)
        self._reference = np.frombuffer(kept.counts).reshape(columns, -1).copy()
        self._rows, self._since, self._until = kept.rows, kept.since, kept.until
        self._as_of = kept.until


def _edges(rows: Floats) -> Floats:
    """Nine bounds for each column of ``rows``, its deciles; of equal ones only one, the rest at infinity."""
    made = np.full((rows.shape[1], _BINS - 1), np.inf)
    for bounds, column in zip(made, rows.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            deciles = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
            bounds[: len(deciles)] = deciles
    return made


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
