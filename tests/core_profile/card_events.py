"""Events to feed a card's row with, as short to write as they are to read."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

from pipeline.core.features import FEATURES
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.transaction import Event, Transaction

NOON = 1_767_268_800.0
"""2026-01-01T12:00:00Z."""
DAY = 86_400.0
_ids = itertools.count()


def event(at: float = NOON, amount: float = 10_000.0, **fields: Any) -> Event:
    fields = {
        "id": f"t{next(_ids)}",
        "card": "tok_k1_0123abcd",
        "time": "2026-01-01T12:00:00Z",
        "currency": "CNY",
    } | fields
    return Event(Transaction(amount=int(amount), **fields), at, amount)


def purchase(at: float, amount: float = 10_000.0, **fields: Any) -> Event:
    usual = {"kind": "purchase", "entry_mode": "chip", "merchant": "m1", "mcc": "5411", "country": "CN"}
    return event(at, amount, **(usual | fields))


def walk(row: bytes, events: Iterable[Event]) -> bytes:
    for one in events:
        row, _, _ = advance(row, one)
    return row


def seen(row: bytes, one: Event) -> dict[str, float]:
    """The features of one more event, by name."""
    _, features, handling = advance(row, one)
    assert handling != Handling.repeat
    assert features is not None
    return {feature.name: value for feature, value in zip(FEATURES, features, strict=True)}


def regular(days: int = 20) -> bytes:
    """A card with a purchase of about 100.00 at the same shop every noon, the last one at NOON."""
    return walk(EMPTY_ROW, (purchase(NOON - DAY * (days - 1 - day), 10_000.0 + 500 * (day % 3)) for day in range(days)))


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))
