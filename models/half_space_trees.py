"""Half-space trees, scored a whole matrix at a time.

River learns (see ``models/learning.py``); this file only scores, from flat arrays, and needs no River. The scores equal
``river.anomaly.HalfSpaceTrees.score_one`` (0.26) to the last bit, for any number of rows at once.

Two observations make that both exact and fast:

- A path's score is a sum of whole numbers (mass × 2^depth), and so is the sum over trees. Below 2^53 a float64 adds
  whole numbers without rounding, so the order of additions cannot matter; the one division at the end is River's.
- What a path adds up to, early stop included, depends on its leaf alone. So each leaf's sum is worked out once, and
  scoring is: walk down all trees of all rows together, one level per step, and look the leaves up.

Source: Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_INTEGERS = 2**53
"""Below this a float64 holds every whole number."""
ROWS_AT_ONCE = 512
"""Rows walked together: the working arrays of 25 trees stay within a core's second-level cache."""
STOP_BELOW = 0.1
"""A walk ends at a node with less than this share of the window's mass: the paper's constant, and River's."""


class Shape(NamedTuple):
    """What makes two models the same kind: number of trees, their height, rows per window, seed of their splits."""

    trees: int = 25
    height: int = 8
    window: int = 1_000
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class HalfSpaceTrees:
    """``T`` full binary trees of ``height`` h over ``M`` features scaled to 0…1, in heap order (children of i: 2i+1,
    2i+2).

    ``features`` int16[T, 2^h − 1] column numbers, ``thresholds`` float64[T, 2^h − 1] (left is ``<``), ``masses``
    int32[T, 2^(h+1) − 1] the reference masses of the last whole window of ``window`` rows. Arrays are not to be
    changed. Raises ValueError when shapes disagree or sums could leave the exact range.
    """

    height: int
    window: int
    features: NDArray[np.int16]
    thresholds: Floats
    masses: NDArray[np.int32]
    _columns: tuple[NDArray[np.intp], ...] = field(init=False, repr=False)
    _splits: tuple[Floats, ...] = field(init=False, repr=False)
    _leaves: Floats = field(init=False, repr=False)
    _greatest: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        trees, branches = self.features.shape
        if branches != 2**self.height - 1 or self.thresholds.shape != (trees, branches):
            raise ValueError(
                f"half-space trees: {branches} branches per tree do not make trees of height {self.height}"
            )
        if self.masses.shape != (trees, 2 * branches + 1):
            raise ValueError(f"half-space trees: masses of shape {self.masses.shape}, not {(trees, 2 * branches + 1)}")
        greatest = trees * self.window * (2 ** (self.height + 1) - 1)
        if not 0 < greatest < EXACT_INTEGERS:
            raise ValueError("half-space trees: trees × window × 2^height is 0 or beyond what a float64 adds exactly")
        levels = [slice(2**level - 1, 2 ** (level + 1) - 1) for level in range(self.height)]
        set_field = object.__setattr__
        set_field(self, "_columns", tuple(self.features[:, level].astype(np.intp).ravel() for level in levels))
        set_field(self, "_splits", tuple(self.thresholds[:, level].ravel() for level in levels))
        set_field(self, "_leaves", _leaf_sums(self.masses, self.height, self.window).ravel())
        set_field(self, "_greatest", float(greatest))

    def score(self, x: Floats) -> Floats:
        """How far each row of ``x`` (float64[n, M]) lies from the last window's masses: float64[n], 0 usual … 1."""
        out = np.empty(len(x))
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = np.ascontiguousarray(x[start : start + ROWS_AT_ONCE], dtype=np.float64)
            out[start : start + len(rows)] = self._sums(rows)
        scores: Floats = 1.0 - out / self._greatest
        return scores

    def _sums(self, rows: Floats) -> Floats:
        """Σ over trees of the leaf sums. Node numbers run on through the trees of a level (tree × 2^level + place), so
        that the left child of node k is 2k of the next level, the right one 2k + 1."""
        n, width = rows.shape
        trees = len(self.features)
        values = rows.ravel()
        row_starts = np.arange(0, n * width, width, dtype=np.intp)
        node = np.broadcast_to(np.arange(trees, dtype=np.intp)[:, None], (trees, n))
        for columns, splits in zip(self._columns, self._splits, strict=True):
            value = values.take(columns.take(node) + row_starts)
            left = value < splits.take(node)  # false for NaN: right, as River's comparison
            node = node + node + 1
            node -= left
        sums: Floats = self._leaves.take(node).sum(axis=0)
        return sums


def _leaf_sums(masses: NDArray[np.int32], height: int, window: int) -> Floats:
    """float64[T, 2^h]: what a walk to each leaf adds up, a node below the limit being the last one added."""
    trees = len(masses)
    sums = np.zeros((trees, 1))
    walking = np.ones((trees, 1), dtype=bool)
    for level in range(height + 1):
        mass = masses[:, 2**level - 1 : 2 ** (level + 1) - 1].astype(np.float64)
        sums = sums + np.where(walking, mass * 2.0**level, 0.0)
        if level < height:
            walking = np.repeat(walking & ~(mass < STOP_BELOW * window), 2, axis=1)
            sums = np.repeat(sums, 2, axis=1)
    return sums
