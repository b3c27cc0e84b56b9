"""The values of the bank's own counters in the archive: which they are, and in which column each stands.

A policy has at most one counter for each slot of a card's row, and `entity_counters.MOST` besides. Their values stand in ``counted_1`` and so on, in the order
of the policy of then; the text in ``counters`` tells which they are: ``name=fingerprint`` of each definition, with blanks
between. So a counter is found again by what it counts, whatever it was called and wherever it stood. A value that is
missing there was unknown to the policy too; a counter that is not named there had not begun.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.counter_slots import SLOTS
from pipeline.core.entity_counters import MOST

COUNTED: Final = tuple(f"counted_{number}" for number in range(1, SLOTS + MOST + 1))
"""The columns of values."""


def names_and_fingerprints(names: Sequence[str], fingerprints: Sequence[str]) -> str | None:
    """What the column ``counters`` says; None without counters, and of those whose definitions are not known."""
    if not names or len(fingerprints) != len(names):
        return None
    return " ".join(f"{name}={fingerprint}" for name, fingerprint in zip(names, fingerprints, strict=True))


def column_of(told: str | None, fingerprint: str) -> str | None:
    """Where ``told``, a text of ``counters``, has the counter of that definition; None: nowhere."""
    for column, one in zip(COUNTED, (told or "").split(), strict=False):
        if one.partition("=")[2] == fingerprint:
            return column
    return None


def value_of(row: Mapping[str, Any], fingerprint: str) -> tuple[bool, float | None]:
    """Whether the archived ``row`` has the counter, and its value; None: unknown."""
    column = column_of(row.get("counters"), fingerprint)
    return column is not None, None if column is None else row[column]


def values_of(rows: Mapping[str, NDArray[Any]], fingerprint: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """`value_of` of many rows, given as the columns ``counters`` and `COUNTED`: bool[n], float64[n], NaN: unknown."""
    told = rows["counters"]
    there, values = np.zeros(len(told), dtype=np.bool_), np.full(len(told), np.nan)
    for one in set(told.tolist()):
        column = column_of(one, fingerprint)
        if column is not None:
            chosen = told == one
            there |= chosen
            values[chosen] = rows[column][chosen]
    return there, values


def counters_sql(told: Iterable[str], wanted: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Name → SQL of its value, and SQL of whether a row has all of them. ``told``: texts that occur in ``counters``;
    ``wanted``: name → fingerprint."""
    occurring = sorted(told)
    values = {}
    for name, fingerprint in wanted.items():
        cases = [
            f"WHEN {_text(one)} THEN {column}"
            for one in occurring
            if (column := column_of(one, fingerprint)) is not None
        ]
        values[name] = f"CASE counters {' '.join(cases)} END" if cases else "CAST(NULL AS DOUBLE)"
    whole = [_text(one) for one in occurring if all(column_of(one, each) for each in wanted.values())]
    return values, f"coalesce(counters IN ({', '.join(whole)}), false)" if whole else "false"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
