"""The bank's counters per merchant and customer as a scorer knows them: what was told last, and its values at a time."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import Digests, EntityKeys
from pipeline.core.entity_counters import EntityCounters
from pipeline.core.entity_counts import Followed, Line, Per, unpack, value
from pipeline.core.told import Gathered, Told

Floats = NDArray[np.float64]


class EntityCounts(Protocol):
    """What scoring asks of them."""

    def values(self, counters: EntityCounters, keys: EntityKeys, hits: Floats) -> Floats:
        """float64[n, C] of the transactions of ``keys``, NaN: unknown. ``hits`` float64[n, C]: what they count
        themselves."""


def entities_of(keys: EntityKeys, per: Per) -> Digests:
    """Their digests; 0: none."""
    return keys.merchant if per == "merchant" else keys.customer


class EntityCountTable:
    """Changed by `take` alone, between two polls."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        self._lines: dict[int, Line] = {}
        self._since: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, told: Told) -> None:
        """Take in what is told, in the order of the topic. Raises ValueError, and changes nothing, for rows that are
        none."""
        known = self._gathered.rows  # most of a part stands here already
        rows = {key: unpack(key, row) for key, row in told.rows.items() if known.get(key) != row}
        for key in self._gathered.take(told):
            self._lines.pop(key, None)
            self._since.pop(key, None)
        for key, row in rows.items():
            if isinstance(row, Followed):
                self._since[key] = row.since
            else:
                self._lines[key] = row.line

    def values(self, counters: EntityCounters, keys: EntityKeys, hits: Floats) -> Floats:
        """As `EntityCounts.values`; what the transactions count themselves is never among it, and a row's values do not
        depend on the other rows. Without hits 0, once the counter has been followed for its window."""
        found = np.full((len(keys.times), len(counters.definitions)), np.nan)
        for column, definition in enumerate(counters.definitions):
            since = self._since.get(definition.tag)
            if since is None:
                continue
            entities = entities_of(keys, definition.per)
            known = (entities != 0) & (keys.times >= since + definition.window_s)
            found[known, column] = 0.0
            told = (entities ^ np.uint64(definition.tag)).tolist()
            for row in np.flatnonzero(known).tolist():
                line = self._lines.get(told[row])
                if line is not None:
                    found[row, column] = value(line, definition, keys.times[row])
        return found


NOTHING_TOLD: Final = EntityCountTable()
"""For those who score without a learner; never to be changed."""
