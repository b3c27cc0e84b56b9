"""Bins that the data choose: a value lies between two knots and belongs to both, the more to the nearer one.

A column's knots are quantiles of a sample of the rows scored so far, denser towards the tails, where fraud is. A value
x between knots k and l has share f = (x − k) / (l − k): it counts 1 − f for k and f for l (a "hat" of linear pieces),
so scores have no steps. Outside the knots the end one counts alone; a missing value is a bin of its own; a category has
a bin for each code that the sample shows most, and one for all others.

Crossed columns have a second, coarser set of knots: two of them side by side make a grid of cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

SAMPLE_ROWS: Final = 2_048
"""A sample has between half as many rows and so many."""
LEVELS: Final = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 1.0)
COARSE_LEVELS: Final = (0.0, 0.05, 0.5, 0.9, 0.99, 1.0)
MAX_KNOTS: Final = 48
MAX_CODES: Final = 32
"""Codes of a category with bins of their own."""


class Column(NamedTuple):
    """One column of the matrix. ``group`` under which its share of a score is told; ``knots`` and ``coarse`` rising,
    where they are given and not learned; ``category``: its numbers are codes; ``label_derived``: made from labels;
    ``crossed``: with every other crossed column."""

    name: str
    group: str
    knots: tuple[float, ...] | None = None
    coarse: tuple[float, ...] | None = None
    category: bool = False
    label_derived: bool = False
    crossed: bool = False


class Sample:
    """Every 2^k-th of all rows seen, k growing so that at most `SAMPLE_ROWS` are kept: a sample over all of the past
    that needs no dice, and is the same however the rows come in chunks."""

    def __init__(self, width: int) -> None:
        self.rows: NDArray[np.float32] = np.empty((0, width), dtype=np.float32)
        self.seen = 0
        self.stride = 1

    def add(self, matrix: Floats) -> None:
        """See the rows of ``matrix``, float64[n, M]."""
        end = self.seen + len(matrix)
        while True:
            room = (SAMPLE_ROWS - len(self.rows)) * self.stride
            first = -self.seen % self.stride
            part = matrix[first : end - self.seen][: room - first if room > first else 0]
            self.rows = np.concatenate([self.rows, part[:: self.stride].astype(np.float32)])
            taken = min(len(matrix), first + len(part))
            self.seen += taken
            matrix = matrix[taken:]
            if not len(matrix):
                return
            self.rows = self.rows[::2]
            self.stride *= 2


def knots_of(values: NDArray[np.float32], column: Column, coarse: bool) -> Floats:
    """The knots (codes, for a category) of ``column`` from a sample of its values, float64[k], k ≥ 1, rising."""
    given = column.coarse if coarse else column.knots
    if given is not None:
        return np.array(given, dtype=np.float64)
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return np.zeros(1)
    if column.category:
        codes, counts = np.unique(known, return_counts=True)
        return np.sort(codes[np.argsort(-counts, kind="stable")[:MAX_CODES]])
    return np.unique(np.quantile(known, COARSE_LEVELS if coarse else LEVELS))


def usual_of(sample: NDArray[np.float32], columns: Sequence[Column]) -> Floats:
    """What most of ``sample``, float32[n, M], hold: float64[M]. Half of the known values are less; of a category the
    commonest code; NaN where most are missing."""
    usual = np.full(len(columns), np.nan)
    for number, column in enumerate(columns):
        known = np.sort(sample[~np.isnan(sample[:, number]), number])
        if 2 * len(known) < len(sample) or not len(known):
            continue
        if column.category:
            codes, counts = np.unique(known, return_counts=True)
            usual[number] = codes[counts.argmax()]
        else:
            usual[number] = known[len(known) // 2]
    return usual


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Settled bins of E encodings: all columns in their order, then the crossed ones once more, coarse.

    ``source`` int32[E] column of each; ``starts`` int32[E + 1] where its knots begin in ``knots``, float64[K];
    ``category`` uint8[E]. Slot 0 is a missing value, 1 … k the knots; for a category k + 1 is any other code.
    """

    source: Ints
    starts: Ints
    knots: Floats
    category: NDArray[np.uint8]

    @classmethod
    def settle(cls, columns: Sequence[Column], sample: NDArray[np.float32]) -> "Bins":
        """The bins of ``columns`` after ``sample``, float32[n, M]."""
        source = list(range(len(columns))) + [number for number, column in enumerate(columns) if column.crossed]
        knots = [
            knots_of(sample[:, number], columns[number], encoding >= len(columns))
            for encoding, number in enumerate(source)
        ]
        return cls(
            np.array(source, dtype=np.int32),
            np.cumsum([0, *map(len, knots)], dtype=np.int32),
            np.concatenate(knots),
            np.array([columns[number].category for number in source], dtype=np.uint8),
        )

    def check(self, columns: Sequence[Column]) -> None:
        """Raises ValueError when these are not sound bins of ``columns``."""
        crossed = [number for number, column in enumerate(columns) if column.crossed]
        expected = [*range(len(columns)), *crossed]
        if self.source.tolist() != expected or len(self.starts) != len(expected) + 1:
            raise ValueError("bins of other columns")
        if self.category.tolist() != [columns[number].category for number in expected]:
            raise ValueError("bins of categories that are none, or the other way round")
        counts = np.diff(self.starts)
        if (
            self.starts[0] != 0
            or self.starts[-1] != len(self.knots)
            or not ((counts >= 1) & (counts <= MAX_KNOTS)).all()
        ):
            raise ValueError(f"a column has no knots, or more than {MAX_KNOTS}")
        inner = np.ones(len(self.knots), dtype=bool)
        inner[self.starts[:-1]] = False
        if not np.isfinite(self.knots).all() or not (np.diff(self.knots, prepend=-np.inf) > 0)[inner].all():
            raise ValueError("knots that do not rise")

    @property
    def sizes(self) -> list[int]:
        """Slots of each encoding."""
        counts = np.diff(self.starts) + 1 + self.category
        return [int(count) for count in counts]

    @property
    def arrays(self) -> tuple[Ints, Ints, Floats, NDArray[np.uint8]]:
        """As the compiled loops take them."""
        return self.source, self.starts, self.knots, self.category

    def encode(self, matrix: Floats) -> tuple[NDArray[np.uint8], Floats]:
        """Slot and share of the next slot, uint8[n, E] and float64[n, E], of each row of ``matrix``, float64[n, M]."""
        return _encode(*self.arrays, np.ascontiguousarray(matrix, dtype=np.float64))


def encode_in_python(
    source: Ints, starts: Ints, knots: Floats, category: NDArray[np.uint8], matrix: Floats
) -> tuple[NDArray[np.uint8], Floats]:
    """What `Bins.encode` gives, column by column."""
    slots = np.zeros((len(matrix), len(source)), dtype=np.uint8)
    shares = np.zeros(slots.shape)
    for encoding, column in enumerate(source):
        own = knots[starts[encoding] : starts[encoding + 1]]
        x = matrix[:, column]
        missing = np.isnan(x)
        if category[encoding]:
            at = np.minimum(own.searchsorted(x), len(own) - 1)
            slot = np.where(own[at] == x, at + 1, len(own) + 1)
        else:
            x = np.minimum(np.maximum(x, own[0]), own[-1])
            at = np.clip(own.searchsorted(x, side="right") - 1, 0, len(own) - 1)
            above = np.minimum(at + 1, len(own) - 1)
            width = np.where(above > at, own[above] - own[at], 1.0)
            shares[:, encoding] = np.where(missing, 0.0, (x - own[at]) / width)
            slot = at + 1
        slots[:, encoding] = np.where(missing, 0, slot)
    return slots, shares


_encode: Callable[[Ints, Ints, Floats, NDArray[np.uint8], Floats], tuple[NDArray[np.uint8], Floats]]
try:
    from models import _logistic
except ImportError:
    _encode = encode_in_python
else:
    _encode = _logistic.encode
