"""How unusual a row is, before any label is known: the surprise of its columns in the bank's own traffic.

A column's surprise is −ln of the share of a sample of past rows that is at least as large; a row's is the sum of them:
Fisher's way to combine tail probabilities (Fisher, "Statistical Methods for Research Workers", 1932), but for its factor
2. Only large values surprise, a missing one does not,
and no column beyond `CAP`.

All columns are one sorted list of whole numbers, each column's values in a range of its own, and one table of surprises by
place in it: a poll is scored by one search and one look-up. Surprises are multiples of 2^-40, so that sums of them are
exact, in whatever order they are added: nothing depends on the rows beside a row, and a score is recomputable to the bit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import systematic_sample
from models.systematic_sample import CAPACITY, SystematicSample

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]

KIND: Final = "surprise"
TYPES: Final = {"columns": "<i8", "rows": "<f4", "times": "<f8", "settings": "<f8"}
MAX_WINDOW: Final = 1_000_000
MAX_COLUMNS: Final = 24
"""The sample of so many columns still leaves room for a classifier in a snapshot."""

_UNIT: Final = 2.0**40
LOGS: Final = np.array([round(math.log(k + 0.5) * _UNIT) / _UNIT for k in range(CAPACITY + 1)])
"""ln(k + ½) in whole parts of 2^-40: coarser than the last bit, in which logarithms differ between processors."""
CAP: Final = 6.0
"""No column surprises more than about one row in 400 does (ln 400): further out a sample says little, and one column would
drown the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Surprise:
    """`models.detector.Detector`: against a sample ``rows`` float32[n, M] of ``times`` float64[n], every ``stride``-th row
    of what came within ``horizon_s``, of ``columns`` int64[M] of the catalogue. Raises ValueError when that is no sound
    sample."""

    columns: NDArray[np.int64]
    rows: NDArray[np.float32]
    times: Floats
    stride: int
    horizon_s: float
    window: int
    _keys: NDArray[np.int64] = field(init=False, repr=False)
    _surprises: Floats = field(init=False, repr=False)
    _lanes: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns = self.columns
        if columns.ndim != 1 or not 1 <= len(columns) <= MAX_COLUMNS or columns.min() < 0:
            raise ValueError(f"surprise: 1 to {MAX_COLUMNS} columns, not {columns.tolist()}")
        systematic_sample.check(self.rows, self.times, self.stride, self.horizon_s)
        if self.rows.shape[1] != len(columns) or not 1 <= self.window <= MAX_WINDOW:
            raise ValueError("surprise: a sample of other columns, or a window out of range")
        keys, surprises = zip(*(_table(column) for column in self.rows.T), strict=True)
        lanes = np.arange(len(columns))[:, None]
        object.__setattr__(self, "_keys", np.concatenate([each + lane * _LANE for lane, each in enumerate(keys)]))
        object.__setattr__(self, "_surprises", np.concatenate(surprises))
        object.__setattr__(self, "_lanes", lanes)

    @property
    def kind(self) -> str:
        return KIND

    @property
    def steady(self) -> bool:
        return True

    def see(self, matrix: Floats) -> Floats:
        return matrix.take(self.columns, axis=1)

    def score(self, x: Floats) -> Floats:
        places = self._keys.searchsorted(_ordered(x.T) + self._lanes * _LANE)
        total: Floats = self._surprises.take(places + self._lanes).sum(axis=0)
        return total

    def dump(self) -> Arrays:
        settings = np.array([self.stride, self.horizon_s, self.window], dtype=np.float64)
        return {"columns": self.columns, "rows": self.rows, "times": self.times, "settings": settings}

    @classmethod
    def load(cls, arrays: Arrays) -> "Surprise":
        """From `dump`. Raises ValueError when that is no sound detector, whatever it is."""
        settings = arrays["settings"]
        if settings.shape != (3,) or not np.isfinite(settings.astype(np.float64)).all():
            raise ValueError("surprise: settings that are not three numbers")
        stride, horizon_s, window = settings.tolist()
        if int(stride) != stride or int(window) != window:
            raise ValueError("surprise: a part of a row")
        return cls(
            arrays["columns"].astype(np.int64),
            arrays["rows"].astype(np.float32),
            arrays["times"].astype(np.float64),
            int(stride),
            horizon_s,
            int(window),
        )


_LANE: Final = 2**33
"""Between the numbers of two columns: more than all of `_ordered`."""
_MISSING: Final = 0x7F80_0001
"""Right above infinity in `_ordered`, and below what is not a number."""


def _ordered(values: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Whole numbers in the order of ``values`` as numbers of four bytes: those bytes, with the negative ones turned round.
    −0 is 0."""
    single = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0.0)
    held: NDArray[np.int32] = single.view(np.int32)
    return (held ^ ((held >> 31) & 0x7FFF_FFFF)).astype(np.int64)


def _table(column: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
    """The k known values of ``column`` in order and then `_MISSING`, int64[k + 1]; and the surprise of a row that lies above
    so many of these, float64[k + 2]: above none of the values it is 0, above all greatest, beyond them 0 again."""
    known = column[~np.isnan(column)]
    surprise = np.minimum(LOGS[len(known)] - LOGS[len(known) :: -1], CAP)
    return np.append(np.sort(_ordered(known)), _MISSING), np.append(surprise, 0.0)


class SurprisePlan(NamedTuple):
    """`models.detector.DetectorPlan`: the surprise of the columns ``names``, number ``columns`` of the catalogue, within
    ``horizon_s``; a detector every ``window`` rows."""

    names: tuple[str, ...]
    columns: Sequence[int]
    window: int = 1_000
    horizon_s: float = 30 * 86_400.0

    def see(self, matrix: Floats) -> Floats:
        return matrix.take(np.array(self.columns, dtype=np.intp), axis=1)

    def begin(self) -> "SurpriseLearning":
        return SurpriseLearning(self, SystematicSample(len(self.columns), self.horizon_s))

    def suits(self, detector: object) -> bool:
        return (
            isinstance(detector, Surprise)
            and detector.columns.tolist() == list(self.columns)
            and (detector.window, detector.horizon_s) == (self.window, self.horizon_s)
        )

    def resume(self, detector: object, learned: int) -> "SurpriseLearning":
        if not (isinstance(detector, Surprise) and self.suits(detector)):
            raise ValueError("the surprise of other columns, or of another window or horizon")
        sample = SystematicSample.resume(self.horizon_s, detector.rows, detector.times, detector.stride, learned)
        return SurpriseLearning(self, sample)


class SurpriseLearning:
    """`models.detector.DetectorLearning`: nothing but a sample."""

    def __init__(self, plan: SurprisePlan, sample: SystematicSample) -> None:
        self._plan = plan
        self._sample = sample

    @property
    def learned(self) -> int:
        return self._sample.seen

    @property
    def at_boundary(self) -> bool:
        return self.learned > 0 and self.learned % self._plan.window == 0

    def learn(self, x: Floats, times: Floats) -> int:
        n = min(len(x), self._plan.window - self.learned % self._plan.window)
        self._sample.add(x[:n], times[:n])
        return n

    def detector(self) -> Surprise:
        if not self.at_boundary:
            raise ValueError("the surprise can be read only between windows, where a snapshot is taken")
        sample, plan = self._sample, self._plan
        columns = np.array(plan.columns, dtype=np.int64)
        return Surprise(columns, sample.rows(), sample.times(), sample.stride, plan.horizon_s, plan.window)
