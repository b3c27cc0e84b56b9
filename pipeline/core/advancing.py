"""A partition's share of a poll through `advance`, compiled where the package was built with a C compiler, in Python
where not. Both forms give equal rows and equal features; only the time differs.

With the card's own history go the bank's counters in its row (`counter_slots`). A policy without any leaves none there.
"""

import math
from collections.abc import Callable

from pipeline.core import counter_slots
from pipeline.core import profile_row as layout
from pipeline.core.counters import Counting
from pipeline.core.poll import Floats, Row
from pipeline.core.profile import EMPTY_ROW, Handling, advance, reversed_by
from pipeline.core.topics import Record
from pipeline.core.transaction import Event

Advance = Callable[
    [dict[bytes, bytes], dict[bytes, bytes], list[tuple[Record, Event, bytes]], list[Row], Floats, Counting | None],
    int,
]
"""The type of both forms, which `advance_in_python` describes."""

_SEEN = 1
"""The place of a row's number of attempts among `profile_row.NUMBERS`."""


def advance_in_python(
    held: dict[bytes, bytes],
    dirty: dict[bytes, bytes],
    events: list[tuple[Record, Event, bytes]],
    rows: list[Row],
    matrix: Floats,
    counting: Counting | None = None,
) -> int:
    """Take each event's card through it, in order: its row moves on in ``held`` and is noted in ``dirty``, a `Row` is
    appended to ``rows``, its features go into the line of ``matrix`` (float64[n, F], contiguous, a line for each event
    at least) with the same number. A repeat changes nothing; the number of repeats is returned.

    ``counting``: what each event matches, and where the counters' values go, in the lines of the same numbers; NaN for
    what is not scored. None: no counters."""
    before, features = len(rows), []
    for at, (record, event, card) in enumerate(events):
        known = held.get(card, EMPTY_ROW)
        row, values, handling = advance(known, event)
        if values is None:
            continue
        if counting is None:
            row = counter_slots.without_counters(row)
        else:
            row, counting.values[len(rows)] = _counted(known, row, event, handling, at, counting)
        held[card] = dirty[card] = row
        features.append(values)
        rows.append(Row(record, event, handling != Handling.scored))
    if features:
        matrix[before : len(rows)] = features
    return len(events) - len(features)


def _counted(
    before: bytes, after: bytes, event: Event, handling: int, at: int, counting: Counting
) -> tuple[bytes, tuple[float, ...] | float]:
    """``after`` with its counters moved on by the ``at``-th event of a part, and their values."""
    slots = counting.counters.slots
    spare, numbers = before[layout.SPARE : layout.RING], layout.NUMBERS.unpack_from(before)
    if not counter_slots.in_place(spare, slots):
        spare = counter_slots.rearranged(spare, slots, not numbers[_SEEN])
    values: tuple[float, ...] | float = math.nan
    if handling == Handling.scored:
        newest = layout.NUMBERS.unpack_from(after)[layout.NEWEST]
        marks = [each[at] if each else 0 for each in counting.matches.marks]
        matched = counting.matches.matched[at]
        spare, values = counter_slots.attempted(
            spare,
            slots,
            counter_slots.Attempt(event.at, event.amount, numbers[layout.NEWEST], newest, matched, marks),
        )
    else:
        original = reversed_by(before, event) if handling == Handling.reversal else None
        if original is not None:
            spare = counter_slots.taken_back(
                spare, slots, original.place, original.at, numbers[layout.NEWEST], original.taken, original.whole
            )
        spare = counter_slots.passed_by(spare)
    return after[: layout.SPARE] + spare + after[layout.RING :], values


advance_part: Advance
COMPILED: bool
"""Whether the compiled form is in use."""
try:
    from pipeline.core import _advance
except ImportError:
    advance_part, COMPILED = advance_in_python, False
else:
    advance_part, COMPILED = _advance.advance_part, True
