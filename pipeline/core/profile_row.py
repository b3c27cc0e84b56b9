"""How a card's history lies in its row: 452 bytes, the same in memory, on the wire and in the store.

Little endian, without padding. Floats that only people and models look at have 32 bits; what may not drift has more.

======  =====  ==========================================================================================
offset  bytes  field
======  =====  ==========================================================================================
0       1      version of this layout
1       1      zero
2       4      u32   events counted (every authorisation, advice, lone clearing), stays at its maximum
6       4      u32   spends learned from (accepted, not a card check), stays at its maximum
10      4      u32   unix second of the earliest event
14      8      f64   unix seconds of the newest event, −∞ before the first: what the counters are decayed to
22      20     f32×5 attempts, decayed with 1 min, 10 min, 1 h, 24 h, 7 d
42      20     f32×5 sums spent, billing minor units, the same scales
62      8      f32×2 declined attempts, 1 h and 24 h
70      4      f32   card checks, 1 h
74      8      f32×2 cash withdrawals, 24 h and 7 d
82      8      f32×2 log(1 + amount): slow mean, slow mean absolute deviation
90      8      f32×2 spends and capped sum spent, decayed with 30 d
98      8      f32×2 latitude, longitude of the last place, degrees, NaN before the first
106     4      u32   unix second of the last place
110     24     u8×24 spends by hour of the day (UTC), all halved when one is full
134     8      u8×8  spends by entry mode (six in use), all halved when one is full
142     6      u8×6  spends by country, all halved when one is full
148     12     2×6   those countries, ISO 3166 alpha-2, zero: empty slot
160     20     u16×10 merchant categories, MCC + 1, the latest first, zero: empty slot
180     64     u32×16 merchants, CRC-32 of the merchant id, the latest first, zero: empty slot
244     64     the bank's own counters (`counter_slots`), zero: none
308     144    18×8  the last eight transactions, the latest first (below)
======  =====  ==========================================================================================

Each of the last eight: 8 bytes hash of the id (BLAKE2b), 5 bytes time in 1/256 s, f32 amount still counted in the sums
(billing minor units), 1 byte flags.
"""

import math
import struct
from typing import Final

VERSION: Final = 1
MAX_ROW_BYTES: Final = 479
"""With the 33 bytes of a bytes object this stays within 512, CPython's limit for cheap small allocations."""

NUMBERS: Final = struct.Struct("<BxIIId5f5f2f1f2f2f2f2fI")
ENTRY: Final = struct.Struct("<8sIBfB")

HOURS: Final = NUMBERS.size
MODES: Final = HOURS + 24
COUNTRY_COUNTS: Final = MODES + 8
COUNTRIES: Final = COUNTRY_COUNTS + 6
MCCS: Final = COUNTRIES + 12
MERCHANTS: Final = MCCS + 20
SPARE: Final = MERCHANTS + 64
RING: Final = SPARE + 64
RING_SLOTS: Final = 8
ROW_BYTES: Final = RING + RING_SLOTS * ENTRY.size

U32: Final = 0xFFFF_FFFF
U40: Final = 0xFF_FFFF_FFFF

# positions in the tuple of NUMBERS, for the paths that take it apart by index
NEWEST: Final = 4
COUNTS: Final = 5
SUMS: Final = 10
DECLINES: Final = 15
CHECKS: Final = 17
CASH: Final = 18

# flags of an entry of the ring
COUNTED: Final = 1
SPENT: Final = 2
CASHED: Final = 4
CHECKED: Final = 8
DECLINED: Final = 16
REVERSED: Final = 32

_nothing_known = (VERSION, 0, 0, 0, -math.inf, *[0.0] * 19, math.nan, math.nan, 0)
EMPTY_ROW: Final = NUMBERS.pack(*_nothing_known) + bytes(ROW_BYTES - NUMBERS.size)
"""The row of a card never seen."""

_BYTE = tuple(bytes((value,)) for value in range(256))


def check_row(row: bytes) -> None:
    """Raises ValueError when ``row`` is not of this layout: what a store holds may be older or younger than the
    program."""
    if len(row) != ROW_BYTES or row[0] != VERSION:
        version = row[0] if row else None
        raise ValueError(
            f"a card row of {len(row)} bytes, layout version {version}: this program reads rows of {ROW_BYTES} bytes, "
            f"version {VERSION}; run the version that wrote it, or rebuild the rows from history"
        )


def find(slots: bytes, item: bytes) -> int:
    """Offset of the slot that begins with ``item``, −1 when none does. ``slots`` is a run of slots as long as
    ``item``."""
    size = len(item)
    at = slots.find(item)
    while at > 0 and at % size:  # a match across two slots is none
        at = slots.find(item, at + 1)
    return at


def find_entry(ring: bytes, digest: bytes) -> int:
    """Offset in ``ring`` of the transaction whose id has this hash, −1 when it is not among the last eight."""
    at = ring.find(digest)
    while at > 0 and at % ENTRY.size:
        at = ring.find(digest, at + 1)
    return at


def to_front(slots: bytes, item: bytes, at: int) -> bytes:
    """``slots`` with ``item``, found at ``at`` (−1: not found), first; the last one falls out for a new one."""
    if at == 0:
        return slots
    if at < 0:
        return item + slots[: -len(item)]
    return item + slots[:at] + slots[at + len(item) :]


def bump(counts: bytes, index: int) -> bytes:
    """``counts`` (u8 each) with one more at ``index``; all are halved first when that one is full."""
    value = counts[index]
    if value == 255:
        counts = bytes((count + 1) >> 1 for count in counts)
        value = 128
    return counts[:index] + _BYTE[value + 1] + counts[index + 1 :]


def remember(row: bytes, digest: bytes, at: float) -> bytes:
    """``row`` with one more id in its ring, of a transaction that counted for nothing; the oldest is forgotten."""
    return row[:RING] + entry(digest, at, 0.0, 0) + row[RING : -ENTRY.size]


def entry(digest: bytes, at: float, amount: float, flags: int) -> bytes:
    """One entry of the ring. Times before 1970 and after 2106 are held to those years."""
    ticks = min(max(int(at * 256.0), 0), U40)
    return ENTRY.pack(digest, ticks >> 8, ticks & 255, amount, flags)
