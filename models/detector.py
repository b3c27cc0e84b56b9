"""What says how unusual a row is without a single label: the contract that every kind of detector keeps, and the kinds.

Three things of one kind. A *plan* is what an operator chose: it begins to learn, or goes on from a detector that suits
it. *Learning* takes rows as they come, and has a detector to give whenever a window of rows is full. A *detector* is what
was learned, as numbers: it scores and does not change; a snapshot carries one, and a scorer may hold several.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models import surprise, trees_detector

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]


class Detector(Protocol):
    """Of rows float64[n, C], the whole catalogue in its units, NaN where something is missing."""

    @property
    def kind(self) -> str:
        """Under which name `load` knows it."""

    @property
    def window(self) -> int:
        """It is as it was after a multiple of so many rows."""

    @property
    def columns(self) -> NDArray[np.int64]:
        """The M columns of the catalogue that it looks at, by number."""

    @property
    def steady(self) -> bool:
        """Whether it says of a row what it said a window ago, but for a little: then recent rows are not scored again for
        each percentile grid."""

    def see(self, matrix: Floats) -> Floats:
        """What it looks at of ``matrix``, float64[n, M]. Raises IndexError when that is too narrow."""

    def score(self, x: Floats) -> Floats:
        """How unusual each row of ``x``, float64[n, M] as from `see`, is: float64[n], finite, more is more unusual. It does
        not depend on the other rows, to the bit."""

    def dump(self) -> Arrays:
        """All that it is, as arrays by name."""


class DetectorLearning(Protocol):
    """Not thread-safe."""

    @property
    def learned(self) -> int:
        """Rows in its life."""

    @property
    def at_boundary(self) -> bool:
        """Whether a window has just been filled: the only moment at which `detector` may be asked for."""

    def learn(self, x: Floats, times: Floats) -> int:
        """Learn the rows of ``x`` (float64[n, M] as from `see`) of event times ``times`` (float64[n], unix seconds, NaN if
        not known) up to their end or to the end of the window, whichever is first. Returns how many were learned."""

    def detector(self) -> Detector:
        """What was learned, for scoring and for going on. Raises ValueError inside a window."""


class DetectorPlan(Protocol):
    """``names`` of the M columns it looks at, in its order."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def window(self) -> int: ...

    def see(self, matrix: Floats) -> Floats:
        """As the detectors that come of it."""

    def begin(self) -> DetectorLearning: ...

    def suits(self, detector: Detector) -> bool:
        """Whether ``detector`` came of this plan, so that it can be gone on from."""

    def resume(self, detector: Detector, learned: int) -> DetectorLearning:
        """Learning as it was when it gave ``detector``, ``learned`` rows into its life. Raises ValueError when that does
        not suit."""


class _Kind(NamedTuple):
    prefix: str
    types: Mapping[str, str]
    load: Callable[[Arrays], Detector]


_KINDS: Mapping[str, _Kind] = {
    surprise.KIND: _Kind("surprise", surprise.TYPES, surprise.Surprise.load),
    trees_detector.KIND: _Kind("hst", trees_detector.TYPES, trees_detector.TreesDetector.load),
}


def prefix(kind: str) -> str:
    """What the versions of models with a detector of this kind begin with."""
    return _KINDS[kind].prefix


def types(kind: str) -> Mapping[str, str]:
    """The arrays that a detector of this kind consists of: NumPy's type of each, little-endian. Raises ValueError for a
    kind that there is none of."""
    if kind not in _KINDS:
        raise ValueError(f"unknown kind of detector {kind!r}")
    return _KINDS[kind].types


def load(kind: str, arrays: Arrays) -> Detector:
    """The detector that was dumped as ``arrays``. Raises ValueError when they are not a sound one of this kind."""
    if arrays.keys() != types(kind).keys():
        raise ValueError(f"a detector of kind {kind} consists of {', '.join(sorted(types(kind)))}")
    return _KINDS[kind].load(arrays)
