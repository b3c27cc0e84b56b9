"""The learner's side of the bank's counters per merchant and customer: it adds up what the scorers found to count.

It is the only writer, and what it tells is what it goes on from after a restart. A counter is known by its definition: a
changed one begins anew, and one that some scorer did not look at for a while (another policy was in force there) has no
value until its window has passed again.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import EntityKeys
from pipeline.core.entity_count_table import EntityCountTable, entities_of
from pipeline.core.entity_counters import EntityCounters
from pipeline.core.entity_counts import (
    BUCKETS,
    Definition,
    Followed,
    Held,
    added,
    most_of,
    pack_followed,
    pack_line,
    unpack,
)
from pipeline.core.told import MAX_CHANGED, PARTS, Gathered, Rows, Told, tellings

Floats = NDArray[np.float64]

MAX_LINES: Final = 500_000
"""Of all counters together; beyond, those that counted nothing for longest are forgotten, and begin again at 0. About
0.3 kB each."""
ABSENT_S: Final = 60.0
"""A counter that nobody has looked at for so long is forgotten with all its lines."""
_UNKNOWN: Final = float("inf")
_LAST_S: Final = 2.0**32


class EntityCountLedger:
    """``resumed``: what an earlier learner told."""

    def __init__(self, resumed: Gathered | None = None, most: int = MAX_LINES) -> None:
        self._most_of_part = max(most // PARTS, 1)
        self._parts: list[dict[int, Held]] = [{} for _ in range(PARTS)]
        self._followed: dict[int, Followed] = {}
        self._last: dict[int, float] = {}
        self._pending: dict[int, None] = {}
        self._newest = 0.0
        self._count = 0
        self._sequence = resumed.sequence if resumed else 0
        for key, row in resumed.rows.items() if resumed else ():
            known = unpack(key, row)
            if isinstance(known, Followed):
                self._followed[key] = known
            else:
                self._put(key, known)

    def __len__(self) -> int:
        return self._count

    def observe(self, definitions: Sequence[Definition], keys: EntityKeys, hits: Floats) -> None:
        """Attempts in the order in which they were read. ``hits`` float64[n, C] as `EntityCounters.hits` of the counters
        with these ``definitions``, which are all that their scorer looked at."""
        times = keys.times
        if not len(times):
            return
        before, self._newest = self._newest, max(self._newest, float(times.max()))
        if not definitions and not self._followed:
            return
        self._follow(definitions, max(before, float(times.min())))
        for column, definition in enumerate(definitions):
            entities = entities_of(keys, definition.per)
            counts = (entities != 0) & (times >= 0.0) & (times < _LAST_S)
            counts &= (hits[:, column] >= 0.0) & (hits[:, column] < most_of(definition.function))
            for row in np.flatnonzero(counts).tolist():
                self._add(definition, int(entities[row]), float(times[row]), float(hits[row, column]))

    def tellings(self, epoch: int, read: Mapping[str, Mapping[int, int]]) -> Iterator[Told]:
        """What is to be told now; nothing where nothing changed. ``read``: how far the topics were read."""
        changed = list(islice(self._pending, MAX_CHANGED))
        for key in changed:
            del self._pending[key]
        rows = {key: row for key in changed if (row := self._row(key)) is not None}
        if rows:
            self._sequence += 1
            self._forget(self._sequence % PARTS)
            yield from tellings("counters", epoch, self._sequence, rows, self._part, read)

    def _follow(self, definitions: Sequence[Definition], now: float) -> None:
        """Know since when each counter misses nothing. ``now``: event time that all before may have been missed."""
        for definition in definitions:
            tag = definition.tag
            followed = self._followed.get(tag)
            if followed is None or followed.since == _UNKNOWN:
                self._followed[tag] = Followed(definition, now)
                self._pending[tag] = None
            self._last[tag] = self._newest
        if len(definitions) == len(self._followed):
            return
        for tag in self._followed.keys() - {definition.tag for definition in definitions}:
            if self._followed[tag].since != _UNKNOWN:
                self._followed[tag] = self._followed[tag]._replace(since=_UNKNOWN)
                self._pending[tag] = None
            elif self._newest - self._last.get(tag, 0.0) > ABSENT_S:
                del self._followed[tag]
                self._last.pop(tag, None)

    def _add(self, definition: Definition, entity: int, time: float, hit: float) -> None:
        key = entity ^ definition.tag
        if key == 0:
            return
        held = self._parts[key % PARTS].get(key)
        before = held.line if held is not None else ()
        after = added(before, definition, time, hit)
        if after != before:
            self._put(key, Held(definition.tag, after))
            self._pending[key] = None

    def _put(self, key: int, held: Held) -> None:
        """As the one that counted last: a part's first is the one that counted nothing for longest."""
        part = self._parts[key % PARTS]
        self._count += part.pop(key, None) is None
        part[key] = held
        if len(part) > self._most_of_part:
            del part[next(iter(part))]
            self._count -= 1

    def _row(self, key: int) -> bytes | None:
        if (followed := self._followed.get(key)) is not None:
            return pack_followed(followed)
        held = self._parts[key % PARTS].get(key)
        return None if held is None else pack_line(held)

    def _part(self, number: int) -> Rows:
        rows = {key: pack_line(held) for key, held in self._parts[number].items()}
        followed = {tag: pack_followed(one) for tag, one in self._followed.items() if tag % PARTS == number}
        return rows | followed

    def _forget(self, number: int) -> None:
        """The lines of a part that have nothing left to say."""
        part = self._parts[number]
        gone = [key for key, held in part.items() if self._over(held)]
        for key in gone:
            del part[key]
        self._count -= len(gone)

    def _over(self, held: Held) -> bool:
        followed = self._followed.get(held.tag)
        if followed is None:
            return True
        return held.line[-1][0] < self._newest // followed.definition.bucket_s - BUCKETS


class EntityCountWalk:
    """Scorer and learner in one process: what a live scorer knows where all that changed is told at the beginning of each
    second of event time. It does not matter how rows are cut into calls."""

    def __init__(self) -> None:
        self._ledger = EntityCountLedger()
        self._table = EntityCountTable()
        self._second = float("-inf")

    def values(self, counters: EntityCounters, keys: EntityKeys, hits: Floats) -> Floats:
        """As `EntityCounts.values`; then ``hits`` are counted."""
        found = np.empty(hits.shape)
        seconds = np.maximum.accumulate(np.maximum(np.floor(keys.times), self._second))
        edges = [0, *(np.flatnonzero(np.diff(seconds)) + 1).tolist(), len(seconds)]
        for start, end in pairwise(edges):
            cut = slice(start, end)
            rows = EntityKeys(
                keys.times[cut], keys.terminal[cut], keys.merchant[cut], keys.card[cut], keys.customer[cut]
            )  # fmt: skip
            if start < end and seconds[start] > self._second:
                self._second = float(seconds[start])
                for told in self._ledger.tellings(0, {}):
                    self._table.take(told)
            found[start:end] = self._table.values(counters, rows, hits[start:end])
            self._ledger.observe(counters.definitions, rows, hits[start:end])
        return found
