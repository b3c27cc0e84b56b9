"""Half-space trees as a detector: which columns they look at, scaled how, beside the trees themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.half_space_trees import HalfSpaceTrees, Shape
from models.learning import Learning
from models.scaling import Scaling

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]

KIND: Final = "half_space_trees"
TYPES: Final = {
    "shape": "<i8", "columns": "<i8", "scales": "<f8", "features": "<i2", "thresholds": "<f8", "masses": "<i4",
}  # fmt: skip
MAX_TREES: Final = 500
MAX_HEIGHT: Final = 14
MAX_WINDOW: Final = 1_000_000
MAX_BYTES: Final = 240_000
"""Of the trees of one model: what a snapshot has room for."""


def fits(trees: int, height: int) -> bool:
    """Whether trees of this shape stay below `MAX_BYTES`: 10 bytes a branch, 4 a node."""
    needed: int = trees * 18 << height
    return needed <= MAX_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class TreesDetector:
    """`models.detector.Detector`: ``trees`` of this ``shape`` on what ``seen`` makes of a row."""

    shape: Shape
    seen: Scaling
    trees: HalfSpaceTrees

    @property
    def kind(self) -> str:
        return KIND

    @property
    def window(self) -> int:
        return self.shape.window

    @property
    def steady(self) -> bool:
        return False

    @property
    def columns(self) -> NDArray[np.int64]:
        return self.seen.columns

    def see(self, matrix: Floats) -> Floats:
        return self.seen.unit(matrix)

    def score(self, x: Floats) -> Floats:
        return self.trees.score(x)

    def dump(self) -> Arrays:
        trees = self.trees
        return {
            "shape": np.array(self.shape, dtype=np.int64),
            "columns": self.seen.columns,
            "scales": self.seen.scales,
            "features": trees.features,
            "thresholds": trees.thresholds,
            "masses": trees.masses,
        }

    @classmethod
    def load(cls, arrays: Arrays) -> "TreesDetector":
        """From `dump`. Raises ValueError when that is no sound model, whatever it is."""
        if arrays["shape"].shape != (len(Shape._fields),):
            raise ValueError("trees, height or window out of range")
        shape = Shape(*arrays["shape"].tolist())
        if not (1 <= shape.trees <= MAX_TREES and 1 <= shape.height <= MAX_HEIGHT and 1 <= shape.window <= MAX_WINDOW):
            raise ValueError("trees, height or window out of range")
        seen = Scaling(arrays["columns"].astype(np.int64), arrays["scales"].astype(np.float64))
        features, thresholds = arrays["features"].astype(np.int16), arrays["thresholds"].astype(np.float64)
        masses = arrays["masses"].astype(np.int32)
        branches = 2**shape.height - 1
        if features.shape != (shape.trees, branches) or masses.shape != (shape.trees, 2 * branches + 1):
            raise ValueError("features or masses of other trees")
        if not ((features >= 0) & (features < len(seen.columns))).all():
            raise ValueError("a branch asks for a feature that there is none of")
        if not ((thresholds > 0.0) & (thresholds < 1.0)).all():  # NaN and infinity fail too
            raise ValueError("a threshold is not between 0 and 1")
        children = masses[:, 1::2] + masses[:, 2::2]
        window = (masses[:, 0] == shape.window).all()
        if not ((masses >= 0).all() and window and (masses[:, :branches] == children).all()):
            raise ValueError("the masses of a tree do not add up to its window")
        return cls(shape, seen, HalfSpaceTrees(shape.height, shape.window, features, thresholds, masses))


class TreesPlan(NamedTuple):
    """`models.detector.DetectorPlan`: trees of this ``shape`` on the columns ``names``, as ``seen`` scales them."""

    shape: Shape
    names: tuple[str, ...]
    seen: Scaling

    @property
    def window(self) -> int:
        return self.shape.window

    def see(self, matrix: Floats) -> Floats:
        return self.seen.unit(matrix)

    def begin(self) -> "TreesLearning":
        return TreesLearning(self, Learning(self.shape, self.names))

    def suits(self, detector: object) -> bool:
        return isinstance(detector, TreesDetector) and detector.shape == self.shape and detector.seen.same(self.seen)

    def resume(self, detector: object, learned: int) -> "TreesLearning":
        if not (isinstance(detector, TreesDetector) and self.suits(detector)):
            raise ValueError("half-space trees of another shape, or of other features")
        return TreesLearning(self, Learning.resume(self.shape, self.names, detector.trees, learned))


class TreesLearning:
    """`models.detector.DetectorLearning`: River's trees. Time is of no interest to them."""

    def __init__(self, plan: TreesPlan, river: Learning) -> None:
        self._plan = plan
        self._river = river

    @property
    def learned(self) -> int:
        return self._river.learned

    @property
    def at_boundary(self) -> bool:
        return self._river.at_boundary

    def learn(self, x: Floats, times: Floats) -> int:
        return self._river.learn(x)

    def detector(self) -> TreesDetector:
        return TreesDetector(self._plan.shape, self._plan.seen, self._river.trees())
