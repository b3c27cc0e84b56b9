"""A card's life under the bank's own counters, walked by both forms, and what they should have counted."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.core.advancing import Advance, advance_in_python, advance_part
from pipeline.core.columns import SCHEMA
from pipeline.core.counters import Counter, Counters, Counting, parse_counter
from pipeline.core.features import FEATURES
from pipeline.core.transaction import Event

CARD = b"tok_k1_0123abcd"
TEXTS = {
    "declined_online": "count per card over 10m where entry_mode = 'ecommerce' and response_code <> '00'",
    "spent_abroad": "sum(amount) per card over 24h where country <> home_country",
    "largest": "max(amount) per card over 7d where amount > 1000",
    "shops": "distinct(merchant) per card over 1h",
}


def counters(**texts: str) -> Counters:
    return Counters([parse_counter(name, text, tuple(SCHEMA)) for name, text in (texts or TEXTS).items()])


class Life(NamedTuple):
    """``rows``: the card's row after each event; ``values`` float64[n, C], a line for each event that is no repeat."""

    rows: list[bytes]
    values: np.ndarray


def live(own: Counters, events: Sequence[Event], row: bytes | None = None, form: Advance = advance_part) -> Life:
    held = {} if row is None else {CARD: row}
    rows, values = [], [np.empty((0, len(own.names)))]
    for event in events:
        found, matrix = [], np.empty((1, len(FEATURES)))
        counted = np.full((1, len(own.names)), -7.0)
        counting = Counting(own, own.matches([event]), counted) if own else None
        form(held, {}, [(None, event, CARD)], found, matrix, counting)  # type: ignore[list-item]
        rows.append(held.get(CARD, b""))
        if found:
            values.append(counted)
    return Life(rows, np.concatenate(values))


def both(own: Counters, events: Sequence[Event], row: bytes | None = None) -> Life:
    """The compiled form's life, after seeing that the Python one lives the same."""
    compiled, python = live(own, events, row), live(own, events, row, advance_in_python)
    assert compiled.rows == python.rows
    assert np.array_equal(compiled.values, python.values, equal_nan=True)
    return compiled


def window(counter: Counter, events: Sequence[Event], newest: float, longer: bool) -> list[Event]:
    """Those of ``events`` in the counter's window, which ends at ``newest``; ``longer``: with the bucket it may hold too
    much, to the instant that bucket begins."""
    start = newest - counter.window_s
    if longer:
        start = math.floor(newest / counter.bucket_s) * counter.bucket_s - counter.window_s
        return [event for event in events if event.at >= start]
    return [event for event in events if event.at > start]


def answer(counter: Counter, events: Sequence[Event]) -> float:
    """What the counter would say of ``events`` if it kept them all."""
    if counter.function == "count":
        return float(len(events))
    if counter.function == "distinct":
        return float(len({event.transaction.merchant for event in events}))
    amounts = [event.amount for event in events]
    return float(sum(amounts)) if counter.function == "sum" else max(amounts, default=0.0)
