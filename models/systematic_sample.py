"""A sample of the rows that came lately, without dice: every 2^k-th row, k as small as lets the sample reach back far
enough.

It begins with every row. When it is full and its oldest row is younger than the horizon, every other row goes, and from
then on half as many are taken. When it is full and reaches back that far, the oldest row makes room. So a quiet bank and a
busy one have a sample of the same days, a change in the traffic is all there after as many days, and the same rows in the
same order give the same sample, however they come in chunks.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CAPACITY: Final = 2_048
"""Rows of a full sample; after a thinning it is half full. Even, as thinning takes every other row."""


class SystematicSample:
    """Of rows of ``width`` numbers. ``horizon_s``: seconds of event time to reach back."""

    def __init__(self, width: int, horizon_s: float) -> None:
        self.seen = 0
        """Rows that came."""
        self.stride = 1
        self._horizon_s = horizon_s
        self._rows = np.empty((CAPACITY, width), dtype=np.float32)
        self._times = np.empty(CAPACITY)
        self._oldest = 0
        self._size = 0

    @classmethod
    def resume(
        cls, horizon_s: float, rows: NDArray[np.float32], times: Floats, stride: int, seen: int
    ) -> "SystematicSample":
        """As it was ``seen`` rows into its life, when it held ``rows`` of ``times``."""
        sample = cls(rows.shape[1], horizon_s)
        sample._rows[: len(rows)], sample._times[: len(rows)] = rows, times
        sample._size, sample.stride, sample.seen = len(rows), stride, seen
        return sample

    def add(self, x: Floats, times: Floats) -> None:
        """See the rows of ``x``, float64[n, width], of ``times``, float64[n] unix seconds."""
        number, end = self.seen, self.seen + len(x)
        while (number := number + -number % self.stride) < end:
            row = number - self.seen
            if self._room_for(number, float(times[row])):
                place = (self._oldest + self._size) % CAPACITY
                self._rows[place], self._times[place] = x[row], times[row]
                self._size += 1
            number += 1
        self.seen = end

    def rows(self) -> NDArray[np.float32]:
        """What it holds, float32[n, width], the oldest first."""
        return self._rows[self._places()]

    def times(self) -> Floats:
        """Their times, float64[n]."""
        return self._times[self._places()]

    def _places(self) -> NDArray[np.int64]:
        return (self._oldest + np.arange(self._size)) % CAPACITY

    def _room_for(self, number: int, time: float) -> bool:
        """Make room for row ``number``; False when thinning left no place for this very row."""
        if self._size < CAPACITY:
            return True
        if time - self._times[self._oldest] >= self._horizon_s:
            self._oldest = (self._oldest + 1) % CAPACITY
            self._size -= 1
            return True
        kept = self._places()[(number // self.stride) % 2 :: 2]  # whose number the doubled stride divides
        self._rows[: len(kept)], self._times[: len(kept)] = self._rows[kept], self._times[kept]
        self._oldest, self._size = 0, len(kept)
        self.stride *= 2
        return number % self.stride == 0


def check(rows: NDArray[np.float32], times: Floats, stride: float, horizon_s: float) -> None:
    """Raises ValueError when this can be no sample's content."""
    if rows.ndim != 2 or not 1 <= len(rows) <= CAPACITY or times.shape != (len(rows),):
        raise ValueError(f"a sample of {len(rows)} rows and {len(times)} times: 1 to {CAPACITY} of each are needed")
    if np.isinf(rows).any() or np.isinf(times).any():
        raise ValueError("a row of the sample is not finite")
    if not (1 <= stride <= 2**52 and math.frexp(stride)[0] == 0.5):
        raise ValueError("a sample takes every 1st, 2nd, 4th, 8th … row")
    if not (math.isfinite(horizon_s) and horizon_s > 0):
        raise ValueError("a sample must reach back some time")
