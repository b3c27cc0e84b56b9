"""Labelled rows that are learned more than once: those that looked like fraud, whether they were or not.

A row that nobody would look at teaches once and is done with. One that the model took for possible fraud is one of the
few that decide, and a single step in its direction leaves most of what it says unsaid. Such rows are kept, the newest
ones, and each is learned again `TIMES` times before it is forgotten, evenly spread over its stay: by then the model has
seen other rows, so it learns what they have in common rather than each by heart.

What is kept is chosen by the model's score before the label is known, never by the label: among the rows kept the
share of fraud is the one that scores of this height really have, and learning them again does not move the calibration.
(Keeping every fraud instead does, and where most fraud cannot be told from other payments, it teaches noise.)
"""

from collections.abc import Mapping
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]

SUSPICIOUS: Final = -4.0
"""Log-odds from which on a row is kept: one fraud in 55."""
TIMES: Final = 3
STATE_BYTES: Final = 600_000
"""Of weights, their average and kept rows together, for they travel in one record: what the others leave is the rows'."""
MOST_ROWS: Final = 2_048


class Replay:
    """A ring of rows of ``width`` columns beside ``taken`` bytes of weights: float32, half as large, and missing (NaN) where
    they were. It may have no room for any."""

    def __init__(self, width: int, taken: int) -> None:
        size = min(MOST_ROWS, max(STATE_BYTES - taken, 0) // (4 * width + 16))
        self.rows: Rows = np.zeros((size, width), dtype=np.float32)
        self.told: Floats = np.zeros((size, 2))
        """Label and weight of each, float64[size, 2]; weight 0: taken back, or no row yet."""
        self.kept = 0

    def due(self) -> tuple[Floats, Floats, Floats]:
        """The rows to be learned once more when one is about to be kept, oldest first: float64[k, M], labels and weights
        float64[k], k ≤ `TIMES`."""
        size = len(self.rows)
        places = [] if size == 0 else [(self.kept + turn * size // TIMES) % size for turn in range(TIMES)]
        chosen = [place for place in places if self.told[place, 1] > 0.0]
        return self.rows[chosen].astype(np.float64), self.told[chosen, 0], self.told[chosen, 1]

    def keep(self, row: Floats, label: float, weight: float) -> None:
        """Keep ``row``, float64[M], in the place of the oldest."""
        if len(self.rows):
            place = self.kept % len(self.rows)
            self.rows[place], self.told[place] = row, (label, weight)
            self.kept += 1

    def drop(self, row: Floats, label: float) -> None:
        """``row`` was not what ``label`` said: it is not learned again."""
        same = (self.rows == row.astype(np.float32)) | (np.isnan(self.rows) & np.isnan(row))
        self.told[same.all(axis=1) & (self.told[:, 0] == label), 1] = 0.0

    def dump(self) -> dict[str, NDArray[np.generic]]:
        """The rows that are kept, in their places, and how many there ever were."""
        filled = min(self.kept, len(self.rows))
        return {
            "kept": np.array([float(self.kept)]),
            "kept_rows": self.rows[:filled].copy(),
            "kept_told": self.told[:filled].copy(),
        }

    @classmethod
    def load(cls, width: int, taken: int, state: Mapping[str, NDArray[np.generic]]) -> Self:
        """Raises ValueError, KeyError."""
        self = cls(width, taken)
        self.kept = int(np.asarray(state["kept"], dtype=np.float64)[0])
        rows, told = np.asarray(state["kept_rows"], dtype=np.float32), np.asarray(state["kept_told"], dtype=np.float64)
        filled = min(max(self.kept, 0), len(self.rows))
        if self.kept < 0 or rows.shape != (filled, width) or told.shape != (filled, 2):
            raise ValueError("kept rows of other columns, or not as many as there should be")
        if not np.isin(told[:, 0], (0.0, 1.0)).all() or not (np.isfinite(told[:, 1]) & (told[:, 1] >= 0.0)).all():
            raise ValueError("a kept row's label is 0 or 1, its weight a number from 0 up")
        self.rows[:filled], self.told[:filled] = rows, told
        return self
