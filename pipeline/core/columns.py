"""What rules may speak of, and a poll's transactions as columns of it.

Only the columns that a policy's rules name are built: most fields of most transactions are never looked at.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.expressions import Kind
from pipeline.core.features import CATALOGUE
from pipeline.core.lists import NO_LISTS, Lists, list_use
from pipeline.core.transaction import Event

Floats = NDArray[np.float64]

_FEATURE_COLUMN: Final = MappingProxyType({feature.name: index for index, feature in enumerate(CATALOGUE)})
_TEXT: Final = (
    "type", "kind", "entry_mode", "currency", "country", "home_country", "city", "mcc", "merchant", "terminal",
    "response_code", "three_ds", "eci", "cvv_result", "pin_result", "avs_result", "wallet", "initiator",
)  # fmt: skip
_BOOLEAN: Final = ("recurring", "preauthorisation")
_NUMBER: Final = ("available_credit",)
AMOUNT: Final = "amount"
_MEASURES: Final = ("score", "percentile")

SCHEMA: Final[dict[str, Kind]] = {
    **dict.fromkeys((*_FEATURE_COLUMN, *_NUMBER, *_MEASURES), "number"),
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys(_BOOLEAN, "boolean"),
}
"""Column → kind. Features are numbers, flags too (0 or 1); ``amount`` is the feature, in the billing currency."""

TRANSACTION_SCHEMA: Final[dict[str, Kind]] = {
    **dict.fromkeys((AMOUNT, *_NUMBER), "number"),
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys(_BOOLEAN, "boolean"),
}
"""Those that a transaction has by itself, whatever its card has done."""


def field_column(events: Sequence[Event], name: str) -> NDArray[Any]:
    """A column of `TRANSACTION_SCHEMA`, in the forms of `columns`."""
    dtype = np.object_ if SCHEMA[name] == "text" else np.float64  # which makes NaN of None, 0 and 1 of booleans
    values = list(map(attrgetter(name if name == AMOUNT else f"transaction.{name}"), events))
    return np.array(values, dtype=dtype)


def columns(
    events: Sequence[Event],
    matrix: Floats,
    score: Floats,
    percentile: Floats,
    wanted: frozenset[str],
    counted: Mapping[str, Floats] = MappingProxyType({}),
    lists: Lists = NO_LISTS,
) -> dict[str, NDArray[Any]]:
    """The ``wanted`` columns, each of length n. ``matrix`` float64[n, C] as `CATALOGUE`; ``score`` and ``percentile``
    float64[n]; ``counted``: the bank's own counters, float64[n] each; ``lists``: what the columns that ask for one look
    into. Numbers are float64, NaN missing; text is an object array of str, None missing; booleans are float64 0 or 1, NaN
    missing. Raises KeyError for a name that is neither in `SCHEMA` nor a counter's, LookupError for a list that is not
    there."""
    table: dict[str, NDArray[Any]] = {}
    for name in wanted:
        if name in _FEATURE_COLUMN:
            table[name] = np.ascontiguousarray(matrix[:, _FEATURE_COLUMN[name]])
        elif name in _MEASURES:
            table[name] = score if name == "score" else percentile
        elif name in counted:
            table[name] = counted[name]
        elif use := list_use(name):
            table[name] = lists.holds(use, events)
        else:
            table[name] = field_column(events, name)
    return table
