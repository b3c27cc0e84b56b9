"""What is counted of one merchant or customer by one of the bank's own counters, and the bytes in which that is told.

A window is `BUCKETS` buckets, counted from 1970; a line has those in which something counted, the oldest first, and the
newest, unfinished one besides: the value is of the whole window and of at most one bucket more. A line is told under its
counter's tag and its entity's digest, XORed: no two counters meet there. Under the tag alone stands since when the counter
has been followed.
"""

import struct
from typing import Final, Literal, NamedTuple

from pipeline.core.counter_slots import DISTINCT_BITS, DISTINCT_ESTIMATES

Per = Literal["merchant", "customer"]
Function = Literal["count", "sum", "max", "distinct"]
Line = tuple[tuple[int, float], ...]
"""Number of a bucket and what is in it: how many, a sum, a maximum, or a bit for each part that distinct values fall into."""

BUCKETS: Final = 10
MAX_WINDOW_S: Final = 31 * 86_400
_PERS: Final[tuple[Per, ...]] = ("merchant", "customer")
_FUNCTIONS: Final[tuple[Function, ...]] = ("count", "sum", "max", "distinct")
_PARTS: Final = (1 << DISTINCT_BITS) - 1
_INFINITE: Final = float("inf")
_TAG = struct.Struct("<Q")
_BUCKET = struct.Struct("<Id")
_FOLLOWED = struct.Struct("<QdIBB")


class Definition(NamedTuple):
    """What whoever adds up must know of a counter; what counts at all, the scorers have looked at. ``tag``: 64 bits, the
    fingerprint of the whole definition."""

    per: Per
    function: Function
    window_s: int
    tag: int

    @property
    def bucket_s(self) -> float:
        return self.window_s / BUCKETS

    def check(self) -> None:
        """Raises ValueError for what no policy defines."""
        if not 0 < self.window_s <= MAX_WINDOW_S or not 0 < self.tag < 1 << 64:
            raise ValueError("a counter with a window or a tag that none has")


class Followed(NamedTuple):
    """``since``: unix seconds of event time from which on no attempt was missed; infinite while some are."""

    definition: Definition
    since: float


class Held(NamedTuple):
    """One entity's line of the counter with this ``tag``."""

    tag: int
    line: Line


def added(line: Line, definition: Definition, time: float, hit: float) -> Line:
    """``line`` after an attempt at unix seconds ``time`` that counts ``hit``: 1, an amount, or the number of a part. What
    is older than the line reaches changes nothing."""
    bucket = int(time // definition.bucket_s)
    if not line or line[-1][0] < bucket:
        first = bucket - BUCKETS
        kept = line if not line or line[0][0] >= first else tuple(each for each in line if each[0] >= first)
        return (*kept, (bucket, _joined(definition.function, 0.0, hit)))
    if bucket < line[-1][0] - BUCKETS:
        return line
    found = dict(line)
    found[bucket] = _joined(definition.function, found.get(bucket, 0.0), hit)
    return tuple(sorted(found.items()))


def most_of(function: Function) -> float:
    """What one attempt counts is below."""
    return DISTINCT_BITS if function == "distinct" else 1e15


def _joined(function: Function, before: float, hit: float) -> float:
    if function == "max":
        return max(before, hit)
    if function == "distinct":
        return float(int(before) | 1 << int(hit))
    return before + hit


def value(line: Line, definition: Definition, time: float) -> float:
    """What the counter says at unix seconds ``time``: of all that is not older than its window and a bucket."""
    first = time // definition.bucket_s - BUCKETS
    held = [number for bucket, number in line if bucket >= first]
    if definition.function == "max":
        return max(held, default=0.0)
    if definition.function == "distinct":
        bits = 0
        for number in held:
            bits |= int(number) & _PARTS
        return DISTINCT_ESTIMATES[bits.bit_count()]
    return sum(held, 0.0)


def pack_line(held: Held) -> bytes:
    return _TAG.pack(held.tag) + b"".join(_BUCKET.pack(*each) for each in held.line)


def pack_followed(followed: Followed) -> bytes:
    per, function, window_s, tag = followed.definition
    return _FOLLOWED.pack(tag, followed.since, window_s, _FUNCTIONS.index(function), _PERS.index(per))


def unpack(key: int, row: bytes) -> Followed | Held:
    """What is told under ``key``. Raises ValueError for bytes that are none."""
    try:
        return _followed(row) if _TAG.unpack_from(row)[0] == key else _held(row)
    except (struct.error, IndexError) as error:
        raise ValueError("a counter's row of another length") from error


def _followed(row: bytes) -> Followed:
    tag, since, window_s, function, per = _FOLLOWED.unpack(row)
    definition = Definition(_PERS[per], _FUNCTIONS[function], window_s, tag)
    definition.check()
    if since != since:
        raise ValueError("a counter followed since no time")
    return Followed(definition, since)


def _held(row: bytes) -> Held:
    (tag,) = _TAG.unpack_from(row)
    line = tuple(_BUCKET.iter_unpack(row[_TAG.size :]))
    if not 0 < len(line) <= BUCKETS + 1:
        raise ValueError("a counter's row with more or fewer buckets than one has")
    before = -1
    for bucket, number in line:
        if bucket <= before or not 0.0 <= number < _INFINITE:
            raise ValueError("a counter's row with a bucket or a number that none has")
        before = bucket
    return Held(tag, line)
