"""The bank's own counters in a card's row: 64 spare bytes, what they hold, and how a transaction changes them.

======  =====  ==========================================================================================
offset  bytes  field (offsets within the spare bytes, little endian)
======  =====  ==========================================================================================
0       56     seven slots of eight bytes; a counter takes one (count) or two in a row (sum, max, distinct)
56      8      u8×8  for each of the last eight transactions in the row's ring, the latest first, which
               counters counted it: bit i is the counter in the i-th place
======  =====  ==========================================================================================

A counter: 2 bytes tag, the fingerprint of its definition (the highest bit: it has two slots; never zero), then its
cells, the newest in the lowest bits. A cell holds one bucket: times are divided into buckets of ``width`` seconds,
counted from 1970, and the newest cell is the bucket of the row's newest attempt. A window of *cells* − 1 buckets is thus
covered whole, and at most one bucket more.

=========  ====  =====  ==========================================================================================
function   bits  cells  a cell
=========  ====  =====  ==========================================================================================
count      8     6      a number, stays at 254
sum, max   22    5      a number with 6 bits of exponent and 16 of mantissa: 2⁻⁸ to 3.6·10¹⁶, to 8 millionths of
                        itself; smaller is zero, larger stays at the largest
distinct   28    4      a bit for each of 27 parts that values fall into by a hash (as in linear counting:
                        K.-Y. Whang et al., ACM TODS 15, 1990; but the most likely number)
=========  ====  =====  ==========================================================================================

In all of them a cell of ones (of distinct: its highest bit) is **unknown**: it began before this counter saw the card.
A counter with an unknown cell has no value. On a card that the row has never seen, nothing came before: all is known.

Rows come with the counters of the policy that moved them last. `rearranged` takes over those whose tags are still
wanted, in whatever order, and begins the others anew: a counter that missed a transaction, because a policy was without
it, can't have a value, for that policy took its slot.
"""

import math
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.core.profile_row import RING, SPARE

SLOTS: Final = 7
SLOT_BYTES: Final = 8
MASKS: Final = SLOTS * SLOT_BYTES
TWO_SLOTS: Final = 0x8000
COUNT, SUM, MAX, DISTINCT = range(4)


class Cells(NamedTuple):
    bits: int
    number: int
    slots: int


CELLS: Final = (Cells(8, 6, 1), Cells(22, 5, 2), Cells(22, 5, 2), Cells(28, 4, 2))
"""By function."""
MOST: Final = 254
DISTINCT_BITS: Final = 27
LARGEST: Final = 0x3F_FFFE
SMALLEST: Final = 2.0**-8
RESIDUE: Final = 2.0**-14
"""What is left of a sum after taking back so many times more is rounding: nothing."""


def _most_likely() -> tuple[float, ...]:
    """For 0 … 27 bits set, by how many different values that is most likely done. All bits are the more likely the more
    values there are: for them, the number that is expected to leave half a bit free."""
    likely, best = [1.0] + [0.0] * DISTINCT_BITS, [(0.0, 0)] * DISTINCT_BITS
    for values in range(4 * DISTINCT_BITS):
        best = [max(known, (chance, -values)) for known, chance in zip(best, likely[:-1], strict=True)]
        likely = [
            likely[bits] * bits / DISTINCT_BITS
            + (likely[bits - 1] * (DISTINCT_BITS - bits + 1) / DISTINCT_BITS if bits else 0.0)
            for bits in range(DISTINCT_BITS + 1)
        ]
    return (*(float(-values) for _, values in best), float(round(DISTINCT_BITS * math.log(2 * DISTINCT_BITS))))


DISTINCT_ESTIMATES: Final = _most_likely()

_EXPONENT_BELOW = (1023 - 8 - 1) << 16
_F64 = struct.Struct("<d")
_U64 = struct.Struct("<Q")


class Slot(NamedTuple):
    """One counter's place in the row. ``width_s``: seconds of a bucket."""

    tag: int
    place: int
    function: int
    width_s: float


def pack(number: float) -> int:
    """The cell (22 bits) nearest to ``number`` ≥ 0."""
    if number < SMALLEST:
        return 0
    bits: int = _U64.unpack(_F64.pack(number))[0]
    return min(((bits + (1 << 35)) >> 36) - _EXPONENT_BELOW, LARGEST)


def unpack(cell: int) -> float:
    if not cell:
        return 0.0
    number: float = _F64.unpack(_U64.pack((cell + _EXPONENT_BELOW) << 36))[0]
    return number


def holds_counters(row: bytes) -> bool:
    return row[SPARE : SPARE + 2] != b"\0\0"


def without_counters(row: bytes) -> bytes:
    """``row`` as a policy without counters leaves it."""
    return row[:SPARE] + bytes(RING - SPARE) + row[RING:] if holds_counters(row) else row


def in_place(spare: bytes, slots: Sequence[Slot]) -> bool:
    """Whether ``spare`` holds exactly these counters, where they are wanted."""
    end = 0
    for slot in slots:
        end = slot.place + CELLS[slot.function].slots
        if _tag(spare, slot.place) != slot.tag:
            return False
    return end == SLOTS or not _tag(spare, end)


def rearranged(spare: bytes, slots: Sequence[Slot], known: bool) -> bytes:
    """``spare`` with these counters and no others: those it holds with all they counted, the others beginning now.
    ``known``: nothing came before, so a counter that begins has a value at once."""
    held = dict(_held(spare))
    new = bytearray(RING - SPARE)
    kept: list[tuple[int, int]] = []
    for number, slot in enumerate(slots):
        cells = CELLS[slot.function]
        start, size = slot.place * SLOT_BYTES, cells.slots * SLOT_BYTES
        new[start : start + 2] = slot.tag.to_bytes(2, "little")
        if slot.tag in held:
            before, old = held[slot.tag]
            kept.append((before, number))
            new[start + 2 : start + size] = spare[old * SLOT_BYTES + 2 : old * SLOT_BYTES + size]
        elif not known:
            unknown = (1 << cells.bits * cells.number) - 1
            new[start + 2 : start + size] = unknown.to_bytes(size - 2, "little")
    for at in range(MASKS, len(spare)):
        new[at] = sum((spare[at] >> before & 1) << number for before, number in kept)
    return bytes(new)


def _held(spare: bytes) -> list[tuple[int, tuple[int, int]]]:
    """Tag → (number, place) of the counters in ``spare``."""
    found: list[tuple[int, tuple[int, int]]] = []
    place = 0
    while place < SLOTS and (tag := _tag(spare, place)):
        found.append((tag, (len(found), place)))
        place += 2 if tag & TWO_SLOTS else 1
    return found


def _tag(spare: bytes, place: int) -> int:
    return int.from_bytes(spare[place * SLOT_BYTES : place * SLOT_BYTES + 2], "little")


class Attempt(NamedTuple):
    """What an attempt is to the counters. ``before`` and ``newest``: the row's newest event time without and with it,
    ``matched``: bit i, it counts for the i-th counter; ``marks``: for a distinct one, which bit."""

    at: float
    amount: float
    before: float
    newest: float
    matched: int
    marks: Sequence[int]


def attempted(spare: bytes, slots: Sequence[Slot], attempt: Attempt) -> tuple[bytes, tuple[float, ...]]:
    """``spare`` (in place) after an attempt, and the counters' values, NaN: unknown."""
    new = bytearray(spare)
    counted, values = 0, []
    for number, slot in enumerate(slots):
        bits, cells, _ = CELLS[slot.function]
        bucket = math.floor(attempt.newest / slot.width_s)
        held = _cells(spare, slot)
        if attempt.before != -math.inf:  # else there is nothing that could grow old
            passed = min(bucket - math.floor(attempt.before / slot.width_s), cells)
            held = (held << passed * bits) & ((1 << bits * cells) - 1)
        age = bucket - math.floor(attempt.at / slot.width_s)
        if attempt.matched >> number & 1 and age < cells:
            counted |= 1 << number
            cell = held >> age * bits & ((1 << bits) - 1)
            held ^= (cell ^ _more(slot.function, cell, attempt.amount, attempt.marks[number])) << age * bits
        _put(new, slot, held)
        values.append(_value(slot.function, held))
    new[MASKS:] = bytes((counted,)) + spare[MASKS:-1]
    return bytes(new), tuple(values)


def passed_by(spare: bytes) -> bytes:
    """``spare`` after a transaction that is no attempt."""
    return spare[:MASKS] + b"\0" + spare[MASKS:-1]


def taken_back(
    spare: bytes, slots: Sequence[Slot], original: int, at: float, newest: float, amount: float, whole: bool
) -> bytes:
    """``spare`` (in place) without what a reversal takes back: of the ``original``-th transaction of the ring, which was
    at ``at``, ``amount`` of its sums and, when it is ``whole``, its count. A maximum and what is distinct stay."""
    new = bytearray(spare)
    for number, slot in enumerate(slots):
        bits, cells, _ = CELLS[slot.function]
        age = math.floor(newest / slot.width_s) - math.floor(at / slot.width_s)
        if spare[MASKS + original] >> number & 1 and 0 <= age < cells:
            held = _cells(spare, slot)
            cell = held >> age * bits & ((1 << bits) - 1)
            less = cell
            if slot.function == COUNT and whole and 0 < cell < MOST:
                less = cell - 1
            elif slot.function == SUM and cell <= LARGEST:
                left = unpack(cell) - amount
                less = pack(left) if left > amount * RESIDUE else 0
            _put(new, slot, held ^ (cell ^ less) << age * bits)
    return bytes(new)


def _cells(spare: bytes, slot: Slot) -> int:
    start = slot.place * SLOT_BYTES
    return int.from_bytes(spare[start + 2 : start + CELLS[slot.function].slots * SLOT_BYTES], "little")


def _put(spare: bytearray, slot: Slot, cells: int) -> None:
    start, size = slot.place * SLOT_BYTES, CELLS[slot.function].slots * SLOT_BYTES
    spare[start + 2 : start + size] = cells.to_bytes(size - 2, "little")


def _more(function: int, cell: int, amount: float, mark: int) -> int:
    """The cell with one transaction more; one that is unknown stays so."""
    if function == COUNT:
        return cell if cell >= MOST else cell + 1
    if function == DISTINCT:
        return cell | 1 << mark
    if cell > LARGEST:
        return cell
    return pack(unpack(cell) + amount) if function == SUM else max(cell, pack(amount))


def _value(function: int, held: int) -> float:
    bits, number, _ = CELLS[function]
    cells = [held >> at * bits & ((1 << bits) - 1) for at in range(number)]
    if function == DISTINCT:
        union = 0
        for cell in cells:
            union |= cell
        return math.nan if union >> DISTINCT_BITS else DISTINCT_ESTIMATES[union.bit_count()]
    if any(cell == (1 << bits) - 1 for cell in cells):
        return math.nan
    if function == COUNT:
        return float(sum(cells))
    if function == MAX:
        return unpack(max(cells))
    total = 0.0
    for cell in cells:
        total += unpack(cell)
    return total
