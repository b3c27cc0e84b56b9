"""What each group of features buys: the ranking as it was beside the one it would have been, had the group been as usual.

A classifier's log odds are a sum over features. What a group adds to a row above the usual row is taken off again, and
average precision worked out anew. Nothing is learned anew without the group, so what another group would have taken
over counts as lost: groups that say the same each look worth little.
"""

from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.scorer import Model
from pipeline.core.grounds import GROUPS, by_group
from pipeline.core.scored import Scored
from pipeline.lab.evaluate.folds import Fold
from pipeline.lab.evaluate.ranking import average_precision

Floats = NDArray[np.float64]


class GroupsSeen:
    """Grows with every record that is scored: four bytes a group and row. Rows scored before a classifier was in force
    have no groups."""

    def __init__(self) -> None:
        self._log_odds = array("d")
        self._added = {code: array("f") for code in GROUPS}

    def saw(self, record: Scored, model: Model | None) -> None:
        """``record`` was scored by ``model``, None: by that of day one."""
        matrix = record.matrix()
        grounds = None if model is None else model.grounds(matrix)
        if grounds is None:
            nothing = np.full(len(matrix), np.nan)
            self._log_odds.frombytes(nothing.tobytes())
            for added in self._added.values():
                added.frombytes(nothing.astype(np.float32).tobytes())
            return
        self._log_odds.frombytes(grounds.sum(axis=1).tobytes())
        for code, values in by_group(grounds).items():
            self._added[code].frombytes(values.astype(np.float32).tobytes())

    def bought(self, fold: Fold, fraud: NDArray[np.bool_]) -> Mapping[str, float]:
        """Group → average precision lost without it, on the tests of ``fold``; ``fraud`` bool[n] of all rows. The dearest
        first; none where a classifier did not score them all."""
        log_odds = np.frombuffer(self._log_odds)[fold.test]
        truth = fraud[fold.test]
        if not len(log_odds) or np.isnan(log_odds).any():
            return {}
        whole = average_precision(truth, log_odds)
        lost = {}
        for code, values in self._added.items():
            added = np.frombuffer(values, dtype=np.float32)[fold.test]
            without = average_precision(truth, log_odds - added)
            if added.any() and whole is not None and without is not None:
                lost[code] = whole - without
        return dict(sorted(lost.items(), key=lambda each: -each[1]))
