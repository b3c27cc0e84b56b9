"""The learner's side of what is known of merchants, of which it is the only writer.

What it tells is what it goes on from after a restart: what happened since, and was too little to be told, is lost; of any
merchant never more than one step (`merchant_habits.STEP`).
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import EntityKeys
from pipeline.core.merchant_habits import NAMES, NEWEST, NOBODY, Floats, Lines
from pipeline.core.merchant_loops import observe_rows, settle, walk
from pipeline.core.merchant_table import Numbered, amounts_of, entities_of, new_of, packed, unpacked
from pipeline.core.told import MAX_CHANGED, PARTS, Gathered, Rows, Told, tellings

Digests = NDArray[np.uint64]

MAX_MERCHANTS: Final = 500_000
"""Beyond, an eighth is forgotten: those that were silent longest."""
KEPT_S: Final = 60 * 86_400.0
"""A merchant silent for so long is told no more, and forgotten when there is need for room."""


class MerchantLedger:
    """``resumed``: what an earlier learner told."""

    def __init__(self, resumed: Gathered | None = None, most: int = MAX_MERCHANTS) -> None:
        self._most = most
        self._numbered = Numbered(2)
        self._entities = np.zeros(len(self._state), dtype=np.uint64)
        self._pending: dict[int, None] = {}
        self._walked: list[int] = []
        self._second = float("-inf")
        self._newest = 0.0
        self._sequence = resumed.sequence if resumed else 0
        if resumed and resumed.rows:
            rows = dict(islice(resumed.rows.items(), most))
            places, lines = [self._add(entity) for entity in rows], unpacked(rows)
            self._state[places] = self._told[places] = lines
            self._newest = float(lines[:, NEWEST].max())

    def __len__(self) -> int:
        return len(self._numbered.lines)

    @property
    def nbytes(self) -> int:
        """About the memory it takes."""
        return self._numbered.nbytes + self._entities.nbytes

    def observe(self, merchants: Digests, terminals: Digests, times: Floats, own: Floats) -> None:
        """Attempts in the order in which they were read; ``own`` float64[n, F or more] as `FEATURES`."""
        entities, amounts, new = entities_of(merchants, terminals), amounts_of(own), new_of(own)
        for rows in self._together(len(entities)):
            lines = self._lines(entities[rows], times[rows])
            observe_rows(lines, times[rows], amounts[rows], new[rows], self._state)
            self._pending.update(dict.fromkeys(lines[lines != NOBODY].tolist()))

    def tellings(self, epoch: int, read: Mapping[str, Mapping[int, int]]) -> Iterator[Told]:
        """What is to be told now of what was observed; nothing where nothing moved by a step. ``read``: how far."""
        lines = np.array(list(self._pending), dtype=np.int64)[:MAX_CHANGED]
        changed = lines[settle(lines, self._state, self._told) == 1]
        for line in lines.tolist():
            del self._pending[line]
        if len(changed):
            self._sequence += 1
            yield from tellings("merchants", epoch, self._sequence, self._rows(changed), self._part, read)

    def features(self, keys: EntityKeys, own: Floats, exempt: NDArray[np.bool_]) -> Floats:
        """For who scores in this process, what `MerchantTable.features` says where all that moved is told at the beginning
        of each second of event time; then ``own`` is observed, but for the exempt. It does not matter how rows are cut
        into calls."""
        entities = entities_of(keys.merchant, keys.terminal)
        found = np.full((len(entities), len(NAMES)), np.nan)
        times, amounts, new = keys.times, amounts_of(own), new_of(own)
        learned = (~exempt).astype(np.uint8)
        for rows in self._together(len(entities)):
            lines = self._lines(entities[rows], times[rows])
            self._second = walk(
                lines, times[rows], amounts[rows], new[rows], learned[rows], self._state, self._told, found[rows],
                self._second, self._walked,
            )  # fmt: skip
        return found

    def _together(self, count: int) -> list[slice]:
        """``count`` rows as they may be taken at once: one by one where room must be made for them."""
        if len(self) + count <= self._most:
            return [slice(0, count)]
        return [slice(row, row + 1) for row in range(count)]

    @property
    def _state(self) -> Floats:
        return self._numbered.arrays[0]

    @property
    def _told(self) -> Floats:
        return self._numbered.arrays[1]

    def _rows(self, lines: Lines) -> Rows:
        return dict(zip(self._entities[lines].tolist(), packed(self._told[lines]), strict=True))

    def _part(self, number: int) -> Rows:
        """Of one part all that were active lately, as told."""
        here = (self._entities & np.uint64(PARTS - 1) == number) & (
            self._told[:, NEWEST] > max(self._newest - KEPT_S, 0.0)
        )
        return self._rows(np.flatnonzero(here))

    def _lines(self, entities: list[int], times: Floats) -> Lines:
        numbers = self._numbered.lines
        found = self._numbered.find(entities)
        for place in np.flatnonzero(found == NOBODY).tolist():
            if entity := entities[place]:
                found[place] = numbers[entity] if entity in numbers else self._add(entity)
        if len(times):
            self._newest = max(self._newest, float(times.max()))
        return found

    def _add(self, entity: int) -> int:
        if len(self) >= self._most:
            self._make_room()
        line = self._numbered.add(entity)
        if len(self._entities) < len(self._state):
            more = np.zeros(len(self._state) - len(self._entities), dtype=np.uint64)
            self._entities = np.concatenate([self._entities, more])
        self._entities[line] = entity
        return line

    def _make_room(self) -> None:
        used = np.flatnonzero(self._entities)
        newest = self._state[used, NEWEST]
        least = max(self._most // 8, 1)
        gone = used[np.argsort(newest, kind="stable")[: max(least, int((newest < self._newest - KEPT_S).sum()))]]
        for entity in self._entities[gone].tolist():
            self._numbered.remove(entity)
        self._entities[gone] = 0
