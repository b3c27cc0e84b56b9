"""Transactions that wait for their label: features as they were scored, until so long after that a label would be late.

Rows are kept as they came, in float64: a classifier must learn to the bit what it would have scored, and single
precision would not be that. Beyond ``most_bytes`` every second row of the older half goes, chosen by its id, and those
that stay stand for two: what came lately, which a cardholder's answer concerns, is all there, and of what is older, which
a chargeback concerns, there is a fair sample, however busy the bank.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Digests = NDArray[np.uint64]

SEGMENT_ROWS = 4_096
INDEX_BYTES = 130
"""About what one row takes in the index by id: a dict's slot and two integers."""
UNKNOWN, GENUINE, FRAUD, UNLABELLED = range(4)
"""As what a row is learned: not at all yet, by a label, by another, for want of one."""


class Arrived(NamedTuple):
    """Rows as columns, ``n`` each: digest of the id, event time, percentile, entities uint64[n, 3] (of
    `pipeline.core.features.KINDS`) and features float64[n, C]."""

    keys: Digests
    times: Floats
    percentiles: Floats
    entities: Digests
    matrix: Floats

    def rows(self, start: int, end: int) -> "Arrived":
        return Arrived(
            self.keys[start:end], self.times[start:end], self.percentiles[start:end], self.entities[start:end],
            self.matrix[start:end],
        )  # fmt: skip


class _Segment:
    """Up to ``room`` rows. ``weight``: how many rows each stands for; ``first``: partition → offset of the record with
    its first row."""

    def __init__(self, columns: int, room: int) -> None:
        self.columns = Arrived(
            np.empty(room, np.uint64), np.empty(room), np.empty(room), np.empty((room, 3), np.uint64),
            np.empty((room, columns)),
        )  # fmt: skip
        self.places = np.zeros((room, 2), np.int64)
        """Partition and offset of the record of `scored`."""
        self.learned = np.zeros(room, np.uint8)
        self.sure = np.ones(room)
        self.mature = np.zeros(room, np.bool_)
        self.size = 0
        self.weight = 1.0
        self.first: dict[int, int] = {}
        self.newest = float("-inf")
        self.oldest_young = float("inf")
        """Event time of the oldest row that is not mature."""

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self.columns) + self.places.nbytes + INDEX_BYTES * self.size


class Waiting:
    """``keep_s``: how long after its event time a row is kept, by the newest event time."""

    def __init__(self, columns: int, keep_s: float, most_bytes: int, segment_rows: int = SEGMENT_ROWS) -> None:
        self._segment_rows = segment_rows
        self._columns = columns
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._segments: dict[int, _Segment] = {}
        self._index: dict[int, int] = {}
        """Digest → number of the segment times ``segment_rows``, plus the slot in it."""
        self._next = 0
        self.nbytes = 0
        self._oldest_newest = float("inf")
        self._oldest_young = float("inf")
        """No segment's are lower: as long as these lie in the future, no segment need be asked."""

    def __len__(self) -> int:
        return len(self._index)

    def add(self, rows: Arrived, partition: int, offset: int) -> None:
        """Keep ``rows``, of the record at ``offset`` of this partition of `scored`."""
        start = 0
        while start < len(rows.keys):
            number, segment = self._open()
            taken = rows.rows(start, start + self._segment_rows - segment.size)
            begin, end = segment.size, segment.size + len(taken.keys)
            for column, values in zip(segment.columns, taken, strict=True):
                column[begin:end] = values
            segment.places[begin:end] = partition, offset
            segment.size = end
            segment.first.setdefault(partition, offset)
            segment.newest = max(segment.newest, float(taken.times.max()))
            segment.oldest_young = min(segment.oldest_young, float(taken.times.min()))
            self._oldest_newest = min(self._oldest_newest, segment.newest)
            self._oldest_young = min(self._oldest_young, segment.oldest_young)
            first = number * self._segment_rows
            self._index.update(zip(taken.keys.tolist(), range(first + begin, first + end), strict=True))
            self.nbytes += INDEX_BYTES * len(taken.keys)
            start += len(taken.keys)

    def find(self, key: int, as_of: float) -> "Waited | None":
        """The row of this id's digest, unless it is older than is kept."""
        place = self._index.get(key)
        if place is None:
            return None
        number, slot = divmod(place, self._segment_rows)
        found = Waited(self._segments[number], slot)
        return found if found.at >= as_of - self._keep_s else None

    def matured(self, before: float) -> "Iterator[Waited]":
        """The rows of event times up to ``before`` that did not come forth here yet, in the order in which they came."""
        if self._oldest_young > before:
            return
        segments = list(self._segments.values())
        for segment in segments:
            if segment.oldest_young <= before:
                size = segment.size
                young = ~segment.mature[:size]
                now = young & (segment.columns.times[:size] <= before)
                segment.mature[:size] |= now
                rest = segment.columns.times[:size][young & ~now]
                segment.oldest_young = float(rest.min()) if len(rest) else float("inf")
                for slot in np.flatnonzero(now).tolist():
                    yield Waited(segment, slot)
        self._oldest_young = min((segment.oldest_young for segment in segments), default=float("inf"))

    def forget(self, as_of: float) -> None:
        """Let go of what is older than is kept, and thin out what is beyond the limit."""
        if self._oldest_newest < as_of - self._keep_s:
            for number, segment in list(self._segments.items()):
                if segment.newest < as_of - self._keep_s:
                    self._drop(number)
            newest = (segment.newest for segment in self._segments.values())
            self._oldest_newest = min(newest, default=float("inf"))
        while self.nbytes > self._most_bytes and len(self._segments) > 2:
            older = list(self._segments)[: len(self._segments) // 2]
            self._thin(min(older, key=lambda number: (self._segments[number].weight, number)))

    def places(self) -> dict[int, int]:
        """Partition → offset in `scored` of the oldest record of which a row is kept."""
        places: dict[int, int] = {}
        for segment in self._segments.values():
            for partition, offset in segment.first.items():
                places[partition] = min(offset, places.get(partition, offset))
        return places

    def _open(self) -> tuple[int, _Segment]:
        number = self._next - 1
        segment = self._segments.get(number)
        if segment is None or segment.size == len(segment.learned):
            number, segment = self._next, _Segment(self._columns, self._segment_rows)
            self._segments[number] = segment
            self._next += 1
            self.nbytes += segment.nbytes
        return number, segment

    def _drop(self, number: int) -> None:
        segment = self._segments.pop(number)
        self.nbytes -= segment.nbytes
        for key in segment.columns.keys[: segment.size].tolist():
            if self._index.get(key, -1) // self._segment_rows == number:
                del self._index[key]

    def _thin(self, number: int) -> None:
        """Of one segment the rows whose digest has one more zero bit: of all segments of a weight the same share of the
        ids. They join the segment before where that weighs as much and has room: what is thinned is soon no more
        segments than fit."""
        segment, order = self._segments[number], list(self._segments)
        weight = segment.weight * 2.0
        kept = np.flatnonzero(segment.columns.keys[: segment.size] >> np.uint64(8) & np.uint64(int(weight) - 1) == 0)
        parts, place = [(segment, kept)], number
        before = order.index(number) - 1
        if before >= 0:
            earlier = self._segments[order[before]]
            if earlier.weight == weight and earlier.size + len(kept) <= self._segment_rows:
                parts, place = [(earlier, np.arange(earlier.size)), (segment, kept)], order[before]
                self._drop(order[before])
        self._drop(number)
        thin = _gathered(self._columns, parts, weight)
        if not thin.size:
            return
        self._segments = {
            one: thin if one == place else self._segments[one] for one in order if one == place or one in self._segments
        }
        self.nbytes += thin.nbytes
        self._index.update(zip(thin.columns.keys.tolist(), itertools.count(place * self._segment_rows), strict=False))


def _gathered(columns: int, parts: Sequence[tuple[_Segment, NDArray[np.intp]]], weight: float) -> _Segment:
    """One segment of these rows of each, with no room for more."""
    made = _Segment(columns, sum(len(kept) for _, kept in parts))
    made.weight = weight
    for segment, kept in parts:
        end = made.size + len(kept)
        for column, values in zip(made.columns, segment.columns, strict=True):
            column[made.size : end] = values[kept]
        for mine, theirs in (
            (made.places, segment.places), (made.learned, segment.learned), (made.sure, segment.sure), (made.mature, segment.mature),
        ):  # fmt: skip
            mine[made.size : end] = theirs[kept]
        made.size = end
        made.newest = max(made.newest, segment.newest)
        made.oldest_young = min(made.oldest_young, segment.oldest_young)
        for partition, offset in segment.first.items():
            made.first[partition] = min(offset, made.first.get(partition, offset))
    return made


class Waited:
    """One row that waits."""

    __slots__ = ("_segment", "_slot")

    def __init__(self, segment: _Segment, slot: int) -> None:
        self._segment = segment
        self._slot = slot

    @property
    def key(self) -> int:
        return self._segment.columns.keys.item(self._slot)

    @property
    def at(self) -> float:
        return self._segment.columns.times.item(self._slot)

    @property
    def percentile(self) -> float:
        return self._segment.columns.percentiles.item(self._slot)

    @property
    def entities(self) -> Sequence[int]:
        found: list[int] = self._segment.columns.entities[self._slot].tolist()
        return found

    @property
    def place(self) -> tuple[int, int]:
        """Partition and offset of its record in `scored`."""
        partition, offset = self._segment.places[self._slot].tolist()
        return partition, offset

    @property
    def matrix(self) -> Floats:
        """float64[1, C]."""
        return self._segment.columns.matrix[self._slot : self._slot + 1]

    @property
    def weight(self) -> float:
        return self._segment.weight

    @property
    def mature(self) -> bool:
        return bool(self._segment.mature.item(self._slot))

    @property
    def learned(self) -> tuple[int, float]:
        """As what it is learned (one of the names above), and how surely, 0…1."""
        return self._segment.learned.item(self._slot), self._segment.sure.item(self._slot)

    @learned.setter
    def learned(self, value: tuple[int, float]) -> None:
        self._segment.learned[self._slot], self._segment.sure[self._slot] = value


def matrix_of(rows: Sequence[Waited]) -> Floats:
    """The features of ``rows``, one or more, float64[n, C]."""
    return np.concatenate([row.matrix for row in rows])
