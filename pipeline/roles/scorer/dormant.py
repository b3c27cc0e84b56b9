"""Which cards have a row in the archive, without their rows, or even their tokens, in memory.

A card not seen for very long keeps its row in the store, where loading does not read it, and leaves an eight-byte mark
here. Only a card that has no row in memory is looked up; when its mark is here the store is asked. Marks are never taken
back: a card that woke has a row in memory and is not looked up again.
"""

from collections.abc import Collection, Iterable
from hashlib import blake2b

import numpy as np

from pipeline.core.profile_row import ROW_BYTES, VERSION, check_row

MARK_BYTES = 8
MERGE_MARKS = 20_000
"""New marks wait in a set until there are so many: sorting them in costs 16 ms with a million marks."""

_LAID_OUT = np.dtype(
    {"names": ["version", "newest"], "formats": ["u1", "<f8"], "offsets": [0, 14], "itemsize": ROW_BYTES}
)


class UnreadableRow(ValueError):
    """The store holds a row that this program cannot read; the message says which layout it has."""


def mark(card: bytes) -> bytes:
    """Eight bytes that stand for ``card``: two cards of a million share one once in 30 million installations, and then
    the store is asked in vain."""
    return blake2b(card, digest_size=MARK_BYTES).digest()


def newest_events(rows: Collection[bytes], partition: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """float64[n], unix seconds of each row's newest event, in order. Raises UnreadableRow when one is of another
    layout."""
    packed = b"".join(rows)
    if set(map(len, rows)) <= {ROW_BYTES}:
        table = np.frombuffer(packed, _LAID_OUT)
        if (table["version"] == VERSION).all():
            return table["newest"]
    for row in rows:
        try:
            check_row(row)
        except ValueError as error:
            raise UnreadableRow(f"partition {partition}: {error}") from None
    raise AssertionError("a row is wrong as one of many and right by itself")


def _number(card: bytes) -> int:
    return int.from_bytes(mark(card), "little")


class Dormant:
    """The marks of one partition, each once: so many cards have a row in the archive."""

    def __init__(self, marks: bytes = b"") -> None:
        self._sorted = np.unique(np.frombuffer(marks, "<u8"))  # a card archived again has left its mark twice
        self._new: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._new)

    def __contains__(self, card: bytes) -> bool:
        return self._has(_number(card))

    def _has(self, value: int) -> bool:
        if value in self._new:
            return True
        place = int(self._sorted.searchsorted(np.uint64(value)))
        return place < len(self._sorted) and int(self._sorted[place]) == value

    def add(self, cards: Iterable[bytes]) -> None:
        self._new.update(value for value in map(_number, cards) if not self._has(value))
        if len(self._new) >= MERGE_MARKS:
            both = np.concatenate([self._sorted, np.fromiter(self._new, "<u8", len(self._new))])
            self._sorted, self._new = np.sort(both), set()
