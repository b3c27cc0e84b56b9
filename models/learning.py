"""Learning half-space trees: River's own ``learn_one``, row by row, with its whole state at hand between two windows.

When a window of rows is full, River turns the masses it counted into the reference masses and starts counting from
zero. Exactly there, and only there, trees and reference masses are everything the model knows: what a snapshot keeps,
and what `Learning.resume` needs to go on as if it had never stopped.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import anomaly

from models.half_space_trees import HalfSpaceTrees, Shape

Floats = NDArray[np.float64]


class Learning:
    """One River model over the features ``names``, scaled to 0…1. Not thread-safe."""

    def __init__(self, shape: Shape, names: Sequence[str]) -> None:
        self.shape = shape
        self.names = tuple(names)
        self.learned = 0
        self._river: Any = anomaly.HalfSpaceTrees(
            n_trees=shape.trees, height=shape.height, window_size=shape.window, seed=shape.seed
        )

    @classmethod
    def resume(cls, shape: Shape, names: Sequence[str], trees: HalfSpaceTrees, learned: int) -> "Learning":
        """The model as it was at the window boundary that ``trees`` were read at, ``learned`` rows into its life."""
        learning = cls(shape, names)
        river = learning._river
        river.learn_one(dict.fromkeys(learning.names, 0.0))  # River builds its trees at the first row
        river.counter = 0
        river._first_window = False
        for number, root in enumerate(river.trees):
            features = trees.features[number].tolist()
            thresholds = trees.thresholds[number].tolist()
            for place, (node, mass) in enumerate(zip(_heap(root), trees.masses[number].tolist(), strict=True)):
                node.l_mass, node.r_mass = 0, mass
                if place < len(features):
                    node.feature, node.threshold = learning.names[features[place]], thresholds[place]
        learning.learned = learned
        return learning

    @property
    def at_boundary(self) -> bool:
        """Whether a window has just been filled: the only moment at which `trees` may be read."""
        return self.learned > 0 and self._river.counter == 0

    def learn(self, matrix: Floats) -> int:
        """Learn the rows of ``matrix`` (float64[n, M], columns as ``names``) up to its end or to the end of the
        window, whichever is first. Returns how many were learned."""
        rows = matrix[: self.shape.window - self._river.counter].tolist()
        learn_one, names = self._river.learn_one, self.names
        for row in rows:
            learn_one(dict(zip(names, row, strict=True)))
        self.learned += len(rows)
        return len(rows)

    def score_one(self, row: Sequence[float]) -> float:
        """River's own score of one row: what `HalfSpaceTrees.score` is held against."""
        return float(self._river.score_one(dict(zip(self.names, row, strict=True))))

    def trees(self) -> HalfSpaceTrees:
        """The trees and their reference masses, for scoring. Raises ValueError inside a window: what River has
        counted since the last boundary would be missing."""
        if not self.at_boundary:
            raise ValueError(
                f"half-space trees can be read only between windows, not {self._river.counter} rows into one"
            )
        column = {name: number for number, name in enumerate(self.names)}
        heaps = [_heap(root) for root in self._river.trees]
        branches = 2**self.shape.height - 1
        return HalfSpaceTrees(
            height=self.shape.height,
            window=self.shape.window,
            features=np.array([[column[node.feature] for node in heap[:branches]] for heap in heaps], dtype="<i2"),
            thresholds=np.array([[node.threshold for node in heap[:branches]] for heap in heaps], dtype="<f8"),
            masses=np.array([[node.r_mass for node in heap] for heap in heaps], dtype="<i4"),
        )


def _heap(root: Any) -> list[Any]:
    """The nodes of a full tree level by level, left to right: node i's children at 2i + 1 and 2i + 2."""
    nodes = [root]
    for node in nodes:
        nodes.extend(getattr(node, "children", ()))
    return nodes
