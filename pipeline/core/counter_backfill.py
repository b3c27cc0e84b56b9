"""A card's counters out of its past, so that a new one has a value before its window has passed.

A pure function over one card's transactions; where they come from (an archive, the topic itself) and who writes the row
is somebody else's matter. What it needs: every transaction of the card from `history_s` before the row's newest attempt
on, with all fields that the counters' conditions name, in the order in which the card's row took them in.
"""

from collections.abc import Iterable

import numpy as np

from pipeline.core import profile_row as layout
from pipeline.core.advancing import advance_part
from pipeline.core.counters import Counters, Counting
from pipeline.core.features import FEATURES
from pipeline.core.poll import Row
from pipeline.core.topics import Record
from pipeline.core.transaction import Event

CHUNK = 2_000
"""Events taken at once."""


class PastMissing(ValueError):
    """The events given do not lead to the row."""


def history_s(counters: Counters) -> float:
    """How far before a row's newest attempt its past must reach: the longest window and what it may hold too much."""
    return max((counter.window_s + counter.bucket_s for counter in counters.each), default=0.0)


def backfilled(row: bytes, past: Iterable[tuple[Record, Event]], counters: Counters) -> bytes:
    """``row`` with its counters as they would be had they counted ``past``, all else as it is. Raises `PastMissing` when
    ``past`` does not end where the row does: with the same newest attempt, the same transaction last."""
    held: dict[bytes, bytes] = {}
    card = b""
    chunk: list[tuple[Record, Event, bytes]] = []
    for record, event in past:
        chunk.append((record, event, card))
        if len(chunk) == CHUNK:
            _advance(held, chunk, counters)
            chunk = []
    _advance(held, chunk, counters)
    made = held.get(card, layout.EMPTY_ROW)
    if _end(made) != _end(row):
        raise PastMissing(
            "the transactions given do not end where the card's row does: give all that the row took in, in its order, "
            "up to the row's own offset and none after it"
        )
    return row[: layout.SPARE] + made[layout.SPARE : layout.RING] + row[layout.RING :]


def _advance(held: dict[bytes, bytes], events: list[tuple[Record, Event, bytes]], counters: Counters) -> None:
    rows: list[Row] = []
    counting = None
    if counters:
        matches = counters.matches([event for _, event, _ in events])
        counting = Counting(counters, matches, np.empty((len(events), len(counters.names))))
    advance_part(held, {}, events, rows, np.empty((len(events), len(FEATURES))), counting)


def _end(row: bytes) -> tuple[float, bytes]:
    """A row's newest time and the hash of the id of its last transaction."""
    newest: float = layout.NUMBERS.unpack_from(row)[layout.NEWEST]
    return newest, row[layout.RING : layout.RING + 8]
