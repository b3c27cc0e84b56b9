"""Columns of a catalogue scaled to 0…1, with plain arithmetic on single elements only: a row's scaled values never depend
on the rows beside it, to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """``columns`` int64[M] of the matrix; ``scales`` float64[M, 4], for each: 1 when it saturates, x / (x + k) for x ≥ 0,
    else 0, straight from 0 at low to 1 at high; low; k or high; and what a missing value becomes. Raises ValueError when
    shapes disagree or a scale is none."""

    columns: NDArray[np.int64]
    scales: Floats
    _low: Floats = field(init=False, repr=False)
    _slope: Floats = field(init=False, repr=False)
    _offset: Floats = field(init=False, repr=False)
    _missing: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns, scales = self.columns, self.scales
        if columns.ndim != 1 or scales.shape != (len(columns), 4) or (len(columns) and columns.min() < 0):
            raise ValueError("scaling: a column number and four numbers for each column")
        saturating, low, high, missing = (np.ascontiguousarray(column) for column in scales.T)
        offset = np.where(saturating == 1.0, high, high - low)
        known = np.isin(saturating, (0.0, 1.0)) & (offset > 0.0) & (missing >= 0.0) & (missing <= 1.0)
        if not (np.isfinite(scales).all() and (known & ((saturating == 0.0) | (low == 0.0))).all()):
            raise ValueError("scaling: a scale that does not lead to 0…1")
        for name, value in zip(
            ("_low", "_slope", "_offset", "_missing"), (low, saturating, offset, missing), strict=True
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, columns: Sequence[int], scales: Sequence[Sequence[float]]) -> "Scaling":
        """From plain numbers."""
        return cls(np.array(columns, dtype=np.int64), np.array(scales, dtype=np.float64).reshape(-1, 4))

    def unit(self, matrix: Floats) -> Floats:
        """float64[n, M] in 0…1 of ``matrix`` (float64[n, C]), contiguous, nothing missing. Raises IndexError when
        that is too narrow."""
        x = np.maximum(matrix.take(self.columns, axis=1), self._low)  # take, as indexing would turn the layout round
        unit = np.minimum((x - self._low) / (x * self._slope + self._offset), 1.0)
        return np.where(unit == unit, unit, self._missing)

    def same(self, other: "Scaling") -> bool:
        """Whether both scale alike."""
        return bool(np.array_equal(self.columns, other.columns) and np.array_equal(self.scales, other.scales))
