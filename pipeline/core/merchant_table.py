"""Merchants' habits as every scorer knows them: the lines told last, and what an attempt looks like against them."""

from itertools import repeat
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.entities import EntityKeys
from pipeline.core.features import FEATURES
from pipeline.core.merchant_habits import DEVIATION, NAMES, NOBODY, WIDTH, Floats, Lines
from pipeline.core.merchant_loops import values_of
from pipeline.core.told import Gathered, Rows, Told

ROW: Final = np.dtype([("whole", "<u4", 3), ("single", "<f4", WIDTH - 3)])
"""A line as told: payments, newest, first; the rest."""
_AMOUNT, _NEW_MERCHANT = ([feature.name for feature in FEATURES].index(name) for name in ("amount", "new_merchant"))
_FIRST_SIZE = 64


class Merchants(Protocol):
    """What scoring asks of merchants."""

    def features(self, keys: EntityKeys, own: Floats, exempt: NDArray[np.bool_]) -> Floats:
        """float64[n, columns as `MERCHANT_FEATURES`] of the transactions of ``keys``; ``own`` float64[n, F]: their features
        in the order of `FEATURES`; ``exempt``: not scored."""


def entities_of(merchants: NDArray[np.uint64], terminals: NDArray[np.uint64]) -> list[int]:
    """Whose habits count: the merchant's, where none is named the terminal's; 0: nobody's."""
    found: list[int] = np.where(merchants != 0, merchants, terminals).tolist()
    return found


def amounts_of(own: Floats) -> Floats:
    return np.ascontiguousarray(own[:, _AMOUNT])


def new_of(own: Floats) -> NDArray[np.uint8]:
    """1: nothing says that the card was at this merchant before."""
    return np.not_equal(own[:, _NEW_MERCHANT], 0.0).astype(np.uint8)


def packed(lines: Floats) -> list[bytes]:
    """``lines`` float64[n, `WIDTH`] as told, as rows of bytes."""
    rows = np.empty(len(lines), dtype=ROW)
    rows["whole"], rows["single"] = np.minimum(lines[:, :3], 0xFFFF_FFFF), lines[:, 3:]
    content, size = rows.tobytes(), ROW.itemsize
    return [content[start : start + size] for start in range(0, len(content), size)]


def unpacked(rows: Rows) -> Floats:
    """The lines of ``rows``, float64[n, `WIDTH`]. Raises ValueError for bytes that are none."""
    if any(len(row) != ROW.itemsize for row in rows.values()):
        raise ValueError("a merchant's row of another length")
    found = np.frombuffer(b"".join(rows.values()), dtype=ROW)
    lines = np.concatenate([found["whole"].astype(np.float64), found["single"].astype(np.float64)], axis=1)
    if not np.isfinite(lines).all() or (lines[:, DEVIATION:] < 0.0).any():
        raise ValueError("a merchant's row with a number that none can have")
    return lines


class Numbered:
    """A line of arrays for each entity, line `NOBODY` for those that have none."""

    def __init__(self, arrays: int) -> None:
        self.lines: dict[int, int] = {}
        self.arrays = [np.zeros((_FIRST_SIZE, WIDTH)) for _ in range(arrays)]
        self._free = list(range(_FIRST_SIZE - 1, NOBODY, -1))

    @property
    def nbytes(self) -> int:
        """About what it takes: arrays, and the dictionary with its two integers an entity."""
        return sum(array.nbytes for array in self.arrays) + 160 * len(self.lines)

    def add(self, entity: int) -> int:
        """The line of an entity that has none."""
        if not self._free:
            size = len(self.arrays[0])
            self.arrays = [np.concatenate([array, np.zeros((size, WIDTH))]) for array in self.arrays]
            self._free.extend(range(2 * size - 1, size - 1, -1))
        line = self.lines[entity] = self._free.pop()
        return line

    def remove(self, entity: int) -> None:
        line = self.lines.pop(entity)
        for array in self.arrays:
            array[line] = 0.0
        self._free.append(line)

    def find(self, entities: list[int]) -> Lines:
        """Their lines, int64[n]."""
        return np.array(list(map(self.lines.get, entities, repeat(NOBODY))), dtype=np.int64)


class MerchantTable:
    """Changed by `take` alone, between two polls."""

    def __init__(self) -> None:
        self._numbered = Numbered(1)
        self._gathered = Gathered()

    def __len__(self) -> int:
        return len(self._numbered.lines)

    def take(self, told: Told) -> None:
        """Take in what is told, in the order of the topic. Raises ValueError, and changes nothing, for rows that are
        none."""
        lines = unpacked(told.rows)
        for entity in self._gathered.take(told):
            self._numbered.remove(entity)
        numbers = self._numbered.lines
        places = [numbers[entity] if entity in numbers else self._numbered.add(entity) for entity in told.rows]
        self._numbered.arrays[0][places] = lines

    def features(self, keys: EntityKeys, own: Floats, exempt: NDArray[np.bool_]) -> Floats:
        """As `Merchants.features`. A row's values do not depend on the other rows."""
        found = np.full((len(keys.times), len(NAMES)), np.nan)
        if self._numbered.lines:
            lines = self._numbered.find(entities_of(keys.merchant, keys.terminal))
            values_of(lines, keys.times, amounts_of(own), self._numbered.arrays[0], found)
        return found


EMPTY_MERCHANTS: Final = MerchantTable()
"""For those who score without a learner; never to be changed."""
