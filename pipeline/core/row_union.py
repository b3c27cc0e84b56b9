"""The row of a card that takes over the history of another: what both cards did, as if on one card.

Counters fade exponentially, so the two cards' add up exactly, each faded to the newest event of both, and it does not
matter which transactions came before the hand-over and which after. Habits are averaged by how much was learned on each
side (at most `MEMORY_SPENDS`, as in learning); what is kept in the order last seen begins with the card used last.

The bank's own counters can't be added up: their cells do not say how long they are. They stay as the new card's own
attempts left them; a new card without attempts takes the old one's over with everything else.
"""

import math
from collections.abc import Sequence
from typing import Final

from pipeline.core import profile_row as layout
from pipeline.core.counter_slots import MASKS
from pipeline.core.profile import SCALES_S, USUAL_DAYS
from pipeline.core.profile_habits import MEMORY_SPENDS
from pipeline.core.profile_row import EMPTY_ROW, ENTRY, NUMBERS, RING_SLOTS, ROW_BYTES, U32

_SEEN, _SPENDS, _FIRST, _NEWEST = 1, 2, 3, 4
_MEAN, _DEVIATION, _LATITUDE, _PLACE_AT = 20, 21, 24, 26
_HOUR, _DAY, _WEEK = SCALES_S[2:]
_FADING: Final = (*SCALES_S, *SCALES_S, _HOUR, _DAY, _HOUR, _DAY, _WEEK)
"""Scales of the counters from `profile_row.COUNTS` on, in their order."""
_USUAL: Final = 22
_NOTHING: Final = bytes(ENTRY.size)


def united(own: bytes, other: bytes) -> bytes:
    """The row of a card with the row ``own`` that takes over the history in ``other``. Where one of them is empty the
    answer is the other, to the byte."""
    if own == EMPTY_ROW:
        return other
    if other == EMPTY_ROW:
        return own
    a, b = NUMBERS.unpack_from(own), NUMBERS.unpack_from(other)
    first, second = (own, other) if a[_NEWEST] >= b[_NEWEST] else (other, own)
    counts, countries = _countries(own, other)
    whole = b"".join((
        NUMBERS.pack(*_numbers(a, b)),
        _added(own[layout.HOURS : layout.MODES], other[layout.HOURS : layout.MODES]),
        _added(own[layout.MODES : layout.COUNTRY_COUNTS], other[layout.MODES : layout.COUNTRY_COUNTS]),
        counts,
        countries,
        _last_seen(first[layout.MCCS : layout.MERCHANTS], second[layout.MCCS : layout.MERCHANTS], 2),
        _last_seen(first[layout.MERCHANTS : layout.SPARE], second[layout.MERCHANTS : layout.SPARE], 4),
        *_last_transactions(own, other, bool(a[_SEEN])),
    ))  # fmt: skip
    assert len(whole) == ROW_BYTES
    return whole


def _numbers(a: Sequence[float], b: Sequence[float]) -> list[float]:
    newest = max(a[_NEWEST], b[_NEWEST])

    def faded(numbers: Sequence[float], index: int, scale_s: float) -> float:
        return numbers[index] * (math.exp((numbers[_NEWEST] - newest) / scale_s) if numbers[index] else 0.0)

    both = list(a)
    both[_SEEN], both[_SPENDS] = min(a[_SEEN] + b[_SEEN], U32), min(a[_SPENDS] + b[_SPENDS], U32)
    both[_FIRST] = min((numbers[_FIRST] for numbers in (a, b) if numbers[_SEEN]), default=0)
    both[_NEWEST] = newest
    for index, scale_s in enumerate(_FADING, layout.COUNTS):
        both[index] = faded(a, index, scale_s) + faded(b, index, scale_s)
    both[_MEAN], both[_DEVIATION] = _amounts(a, b)
    for index in (_USUAL, _USUAL + 1):
        both[index] = faded(a, index, USUAL_DAYS * 86_400.0) + faded(b, index, USUAL_DAYS * 86_400.0)
    place = a if a[_PLACE_AT] >= b[_PLACE_AT] else b  # never seen anywhere: second 0
    both[_LATITUDE : _PLACE_AT + 1] = place[_LATITUDE : _PLACE_AT + 1]
    return both


def _amounts(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Mean and deviation of log amounts; two cards that differ deviate from their common mean by that much more."""
    if not b[_SPENDS]:
        return a[_MEAN], a[_DEVIATION]
    if not a[_SPENDS]:
        return b[_MEAN], b[_DEVIATION]
    of_a, of_b = min(a[_SPENDS], MEMORY_SPENDS), min(b[_SPENDS], MEMORY_SPENDS)
    mean = (of_a * a[_MEAN] + of_b * b[_MEAN]) / (of_a + of_b)
    wide_a, wide_b = math.hypot(a[_DEVIATION], a[_MEAN] - mean), math.hypot(b[_DEVIATION], b[_MEAN] - mean)
    return mean, (of_a * wide_a + of_b * wide_b) / (of_a + of_b)


def _within_a_byte(counts: list[int]) -> bytes:
    while max(counts) > 255:
        counts = [(count + 1) >> 1 for count in counts]
    return bytes(counts)


def _added(own: bytes, other: bytes) -> bytes:
    return _within_a_byte([x + y for x, y in zip(own, other, strict=True)])


def _slots(slots: bytes, size: int) -> list[bytes]:
    """The slots that are not empty."""
    cut = (slots[at : at + size] for at in range(0, len(slots), size))
    return [slot for slot in cut if any(slot)]


def _countries(own: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Counts and codes: of all countries those with the most spends."""
    counted: dict[bytes, int] = {}
    for row in (own, other):
        codes, counts = row[layout.COUNTRIES : layout.MCCS], row[layout.COUNTRY_COUNTS : layout.COUNTRIES]
        for at, count in enumerate(counts):
            if any(code := codes[2 * at : 2 * at + 2]):
                counted[code] = counted.get(code, 0) + count
    number = layout.COUNTRIES - layout.COUNTRY_COUNTS
    most = sorted(counted.items(), key=lambda item: -item[1])[:number]
    kept = [count for _, count in most] + [0] * (number - len(most))
    return _within_a_byte(kept), b"".join(code for code, _ in most).ljust(2 * number, b"\0")


def _last_seen(first: bytes, second: bytes, size: int) -> bytes:
    kept = dict.fromkeys((*_slots(first, size), *_slots(second, size)))
    return b"".join(kept)[: len(first)].ljust(len(first), b"\0")


def _last_transactions(own: bytes, other: bytes, attempts: bool) -> tuple[bytes, bytes]:
    """The bank's counters, and the last transactions of both, by time. ``attempts``: the new card has made some: then the
    counters are its own, and they have counted none of the old card's transactions."""
    kept = own if attempts else other
    masks = kept[layout.SPARE + MASKS : layout.RING]
    entries: dict[bytes, tuple[bytes, int]] = {}
    for row in (own, other):
        for at in range(RING_SLOTS):
            start = layout.RING + at * ENTRY.size
            entry = row[start : start + ENTRY.size]
            if entry != _NOTHING:
                entries.setdefault(entry[:8], (entry, masks[at] if row is kept else 0))
    last = sorted(entries.values(), key=lambda item: ENTRY.unpack(item[0])[1:3], reverse=True)[:RING_SLOTS]
    missing = RING_SLOTS - len(last)
    spare = kept[layout.SPARE : layout.SPARE + MASKS] + bytes(mask for _, mask in last) + bytes(missing)
    return spare, b"".join(entry for entry, _ in last) + _NOTHING * missing
