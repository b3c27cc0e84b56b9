"""The values of an entity's history for a whole poll at once: what does not depend on the moment is worked out when a row
comes, the rest is a few operations on columns."""

import math
import struct
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entity_history import FADE_S, FORGOTTEN, HEAD, NAMES, PRIOR_SHARE
from pipeline.core.entity_history import values as values_of_row

Floats = NDArray[np.float64]
Standing = tuple[float, float, float, float, float, float, float]
"""Unexplained and explained frauds, labels, and when these sums were so; frauds of the run, when its first unexplained one
was, genuine labels since the newest fraud."""
STANDING: Final = 7
DAY_S: Final = 86_400.0


def standing_in_python(row: bytes) -> Standing:
    """Raises ValueError for bytes that are no row."""
    try:
        newest, _, _, labels, _, _ = head = HEAD.unpack_from(row)
        if not all(map(math.isfinite, head)):
            raise ValueError("a sum is not a number")
        unexplained, explained, _, run, run_days, genuine = values_of_row(row, newest)
    except (struct.error, OverflowError, ValueError) as error:
        raise ValueError(f"no history of an entity: {error}") from error
    began = newest - round(run_days * DAY_S) if run_days == run_days else math.nan
    return unexplained, explained, labels, newest, run, began, genuine


def has_fraud(row: bytes) -> bool:
    """Whether a fraud of this entity is known that has not faded from its sums."""
    _, unexplained, explained, _, _, _ = HEAD.unpack_from(row)
    return bool(unexplained + explained > FORGOTTEN)


def values(standings: Floats, now: Floats) -> Floats:
    """``standings`` float64[n, 7] of the entities of transactions at ``now`` (float64[n], unix seconds): float64[n, columns
    as `entity_history.NAMES`], what `entity_history.values` says of each. A row's values do not depend on the others."""
    unexplained, explained, labels, as_of, run, began, genuine = standings.T
    fade = np.array([math.exp(age) for age in (np.minimum(as_of - now, 0.0) / FADE_S).tolist()])
    unexplained, explained = unexplained * fade, explained * fade
    share = (unexplained + explained + PRIOR_SHARE) / (labels * fade + 1.0)
    return np.stack([unexplained, explained, share, run, (now - began) / DAY_S, genuine], axis=1)


def fill_in_python(
    lines: Mapping[int, int], standings: Floats, digests: NDArray[np.uint64], now: Floats, found: Floats, column: int
) -> None:
    """Write what `values` says of those of ``digests`` (uint64[n], 0: none) that have a line of ``standings`` into
    ``found`` (float64[n, C]), from ``column`` on; the others are left as they are. ``now`` float64[n], unix seconds."""
    if lines:
        taken = np.array(list(map(lines.get, digests.tolist(), repeat(0))))
        places = taken.nonzero()[0]
        if len(places):
            columns = slice(column, column + len(NAMES))
            found[places, columns] = values(standings.take(taken.take(places), axis=0), now.take(places))


fill: Callable[[Mapping[int, int], Floats, NDArray[np.uint64], Floats, Floats, int], None]
try:
    from pipeline.core import _entities
except ImportError:
    fill = fill_in_python
else:
    fill = _entities.fill_values
standing: Callable[[bytes], Standing]
try:
    from pipeline.core import _entity_history
except ImportError:
    standing = standing_in_python
else:
    standing = _entity_history.standing
"""Both forms give equal numbers, to the bit."""
