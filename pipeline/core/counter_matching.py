"""Which transactions count for which counter: conditions over a whole poll's transactions, before any row moves.

They look at the transactions' own fields only. What they say of columns with few values is remembered for each
combination that occurs; the rest of a condition is asked only where that part holds.
"""

import itertools
import zlib
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.columns import TRANSACTION_SCHEMA, field_column
from pipeline.core.counter_slots import DISTINCT_BITS
from pipeline.core.rules import Rule, conjuncts
from pipeline.core.transaction import Event

FEW_VALUES: Final = frozenset({
    "type", "kind", "entry_mode", "currency", "country", "home_country", "mcc", "response_code", "three_ds", "eci",
    "cvv_result", "pin_result", "avs_result", "wallet", "initiator", "recurring", "preauthorisation",
})  # fmt: skip
"""Columns of few values: what conditions say of a combination of them is remembered."""
MAX_REMEMBERED: Final = 20_000


class Matches(NamedTuple):
    """For each of n events a byte whose bit i says that the i-th counter counts it; for each counter that tells values
    apart the n numbers of their bits, for the others nothing."""

    matched: bytes
    marks: tuple[bytes, ...]

    def part(self, start: int, end: int) -> "Matches":
        return Matches(self.matched[start:end], tuple(each[start:end] for each in self.marks))


class Matcher:
    """``conditions``: each counter's, None: every attempt; ``distinct``: the column of those that tell values apart."""

    def __init__(self, conditions: Sequence[Rule | None], distinct: Mapping[int, str]) -> None:
        parts = [_few_and_many(where) for where in conditions]
        self._remembered = _Remembered([few for few, _ in parts])
        self._calculated = [(bit, many) for bit, (_, many) in enumerate(parts) if many]
        self._unmarked = (b"",) * len(conditions)
        self._distinct = distinct

    def matches(self, events: Sequence[Event]) -> Matches:
        """One byte and its marks for each event."""
        remembered = self._remembered.matched(events)
        if not (self._calculated or self._distinct):
            return Matches(remembered, self._unmarked)
        matched = bytearray(remembered)
        for bit, parts in self._calculated:
            left = [at for at, mask in enumerate(matched) if mask >> bit & 1]
            for part in parts if left else ():
                table = {name: field_column([events[at] for at in left], name) for name in part.columns}
                hits = part.hits(table, len(left)).tolist()
                for at in itertools.compress(left, (not hit for hit in hits)):
                    matched[at] &= ~(1 << bit)
                left = list(itertools.compress(left, hits))
                if not left:
                    break
        marks = list(self._unmarked)
        for bit, column in self._distinct.items():
            marks[bit] = _marks(events, matched, bit, column)
        return Matches(bytes(matched), tuple(marks))


def _marks(events: Sequence[Event], matched: bytearray, bit: int, column: str) -> bytes:
    """The bit of each matched event's value; one without a value is counted no more."""
    marks = bytearray(len(matched))
    for at, mask in enumerate(matched):
        if mask >> bit & 1:
            value = getattr(events[at].transaction, column)
            if value:
                # multiplied, for checksums of names that differ in one place lie in a pattern
                spread = zlib.crc32(value.encode()) * 2_654_435_761 & 0xFFFF_FFFF
                marks[at] = spread * DISTINCT_BITS >> 32
            else:
                matched[at] = mask & ~(1 << bit)
    return bytes(marks)


def _few_and_many(where: Rule | None) -> tuple[list[Rule], list[Rule]]:
    """The parts of a condition: those over columns of few values, and the others."""
    parts = [] if where is None else conjuncts(where.text, TRANSACTION_SCHEMA)
    few = [part for part in parts if part.columns <= FEW_VALUES]
    return few, [part for part in parts if part not in few]


class _Remembered:
    """Conditions over columns of few values: evaluated once for each combination that occurs. One transaction alone then
    costs no more than one among thousands."""

    def __init__(self, conditions: Sequence[Sequence[Rule]]) -> None:
        self._conditions = conditions
        self._names = sorted(frozenset[str]().union(*(part.columns for parts in conditions for part in parts)))
        self._fields = attrgetter(*self._names) if self._names else None
        self._known: dict[Any, int] = {}

    def matched(self, events: Sequence[Event]) -> bytes:
        if self._fields is None:
            return bytes(((1 << len(self._conditions)) - 1,)) * len(events)
        fields, known = self._fields, self._known
        keys = [fields(event.transaction) for event in events]
        found = [known.get(key) for key in keys]
        if None not in found:
            return bytes(found)  # type: ignore[arg-type]  # none is missing
        new = list(dict.fromkeys(key for key, mask in zip(keys, found, strict=True) if mask is None))
        learned = dict(zip(new, self._evaluate(new), strict=True))
        if len(known) + len(learned) > MAX_REMEMBERED:
            known.clear()
        known.update(learned)
        return bytes(learned[key] if mask is None else mask for key, mask in zip(keys, found, strict=True))

    def _evaluate(self, keys: Sequence[Any]) -> list[int]:
        rows = keys if len(self._names) > 1 else [(key,) for key in keys]
        table: Mapping[str, NDArray[Any]] = {
            name: np.array(values, dtype=np.object_ if TRANSACTION_SCHEMA[name] == "text" else np.float64)
            for name, values in zip(self._names, zip(*rows, strict=True), strict=True)
        }
        masks = np.zeros(len(keys), dtype=np.int64)
        for bit, parts in enumerate(self._conditions):
            hits = np.ones(len(keys), dtype=np.bool_)
            for part in parts:
                hits &= part.hits(table, len(keys))
            masks |= hits.astype(np.int64) << bit
        return [int(mask) for mask in masks]
