"""What the challengers would have done: their scores beside the champion's, and the outcome by the same policy.

They run after the champion, on the columns that are there, and decide nothing. Every score goes into `scored`; a decision
tells of a challenger where somebody may ask: from `notify` up, and where the challenger would have decided otherwise.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.core.decide import decide
from pipeline.core.decision import Outcome
from pipeline.core.policy import Policy
from pipeline.core.poll import Challenger, Floats, Row, Shadow
from pipeline.core.rules import Columns

_HASHES = 2**32


def shadow_scores(
    challengers: Sequence[Challenger], rows: Sequence[Row], matrix: Floats, exempt: NDArray[np.bool_]
) -> list[Shadow]:
    """Scores and percentiles of each challenger, float64[n], NaN where it does not score the row: one that is exempt, or
    outside its share. Of two challengers the smaller share is a part of the larger."""
    lots: NDArray[np.float64] | None = None
    made = []
    for one in challengers:
        chosen = ~exempt
        if one.share < 1.0:
            if lots is None:
                lots = np.array([crc32(row.event.transaction.id.encode()) for row in rows], dtype=np.float64)
            chosen &= lots < one.share * _HASHES
        score, percentile = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        if chosen.any():
            _, percentile[chosen], score[chosen] = one.model.scores(matrix[chosen])
        made.append(Shadow(one.model.version, score, percentile))
    return made


def shadow_outcomes(
    policy: Policy, shadows: Sequence[Shadow], columns: Columns, exempt: NDArray[np.bool_], ids: Sequence[str]
) -> list[NDArray[np.uint8]]:
    """What ``policy`` would have come to by each challenger's score, uint8[n]; of rows it did not score, without meaning."""
    return [
        decide(
            policy, {**columns, "score": one.score, "percentile": one.percentile}, len(ids), exempt, ids.__getitem__
        ).outcome
        for one in shadows
    ]


class ShadowTold(NamedTuple):
    """Of a poll: what decisions tell of the challengers, by the row's index."""

    shadows: Sequence[Shadow]
    outcomes: Sequence[NDArray[np.uint8]]
    rows: frozenset[int]

    def of(self, index: int) -> list[dict[str, object]]:
        """For the decision of the row at ``index``."""
        return [
            {
                "model_version": one.version,
                "outcome": Outcome(int(outcome[index])).name,
                "score": float(one.score[index]),
            }
            for one, outcome in zip(self.shadows, self.outcomes, strict=True)
            if one.score[index] == one.score[index]
        ]


NOTHING_TOLD = ShadowTold((), (), frozenset())


def told(
    shadows: Sequence[Shadow],
    outcomes: Sequence[NDArray[np.uint8]],
    champion: NDArray[np.uint8],
    alerted: NDArray[np.int64],
) -> ShadowTold:
    """``champion`` uint8[n], its outcomes; ``alerted``: the rows whose decisions tell more than their outcome."""
    if not shadows:
        return NOTHING_TOLD
    rows = set(alerted.tolist())
    for one, outcome in zip(shadows, outcomes, strict=True):
        rows.update(np.flatnonzero((outcome != champion) & ~np.isnan(one.score)).tolist())
    return ShadowTold(shadows, outcomes, frozenset(rows))
