"""A partition's share of a poll through `advance`, compiled where the package was built with a C compiler, in Python
where not. Both forms give equal rows and equal features; only the time differs.
"""

from collections.abc import Callable

from pipeline.core.poll import Floats, Row
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.topics import Record
from pipeline.core.transaction import Event

Advance = Callable[
    [dict[bytes, bytes], dict[bytes, bytes], list[tuple[Record, Event, bytes]], list[Row], Floats],
    int,
]
"""The type of both forms, which `advance_in_python` describes."""


def advance_in_python(
    held: dict[bytes, bytes],
    dirty: dict[bytes, bytes],
    events: list[tuple[Record, Event, bytes]],
    rows: list[Row],
    matrix: Floats,
) -> int:
    """Take each event's card through it, in order: its row moves on in ``held`` and is noted in ``dirty``, a `Row` is
    appended to ``rows``, its features go into the line of ``matrix`` (float64[n, F], contiguous, a line for each event
    at least) with the same number. A repeat changes nothing; the number of repeats is returned."""
    before, features = len(rows), []
    for record, event, card in events:
        row, values, handling = advance(held.get(card, EMPTY_ROW), event)
        if values is None:
            continue
        held[card] = dirty[card] = row
        features.append(values)
        rows.append(Row(record, event, handling != Handling.scored))
    if features:
        matrix[before : len(rows)] = features
    return len(events) - len(features)


advance_part: Advance
COMPILED: bool
"""Whether the compiled form is in use."""
try:
    from pipeline.core import _advance
except ImportError:
    advance_part, COMPILED = advance_in_python, False
else:
    advance_part, COMPILED = _advance.advance_part, True
