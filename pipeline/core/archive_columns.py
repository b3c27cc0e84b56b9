"""The archive's rows as columns: what a decided transaction was, what it looked like, what it came to; and labels.

A row holds the whole transaction, so a rule may ask for any of its fields and a card's history can be made again; the
features to the last bit; and the outcome with its versions. What is not there is missing, which DuckDB reads as NULL:
never NaN, which it would take for the greatest number of all.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.archive_counters import COUNTED
from pipeline.core.columns import SCHEMA
from pipeline.core.decision import Actions
from pipeline.core.features import CATALOGUE
from pipeline.core.records import Label
from pipeline.core.scored import by_version
from pipeline.core.tag_use import TAGS_COLUMN
from pipeline.core.transaction import Event, Transaction

Columns = Mapping[str, NDArray[Any]]
ColumnKind = Literal["text", "integer", "number", "boolean"]
"""What a column holds, and as what it is handed over: text as objects, None missing; all others as float64, NaN missing
(integers are below 2**53), but for offsets and timestamps, int64."""

_INTEGERS: Final = frozenset({"amount", "billing_amount"})
_NUMBERS: Final = frozenset({"available_credit", "latitude", "longitude"})
_BOOLEANS: Final = frozenset({"recurring", "preauthorisation"})
_FEATURE_NAMES: Final = tuple(feature.name for feature in CATALOGUE)
_ACTIONS: Final = {
    "transaction_action": "transaction", "card_action": "card", "contact_action": "contact", "queue_action": "queue",
}  # fmt: skip
_DECIDED_TEXT: Final = ("outcome", "policy_version", "model_version", "decided_at")
_DECIDED_BOOLEAN: Final = ("warming_up", "degraded")


def _field_kind(name: str) -> ColumnKind:
    if name in _INTEGERS:
        return "integer"
    return "number" if name in _NUMBERS else "boolean" if name in _BOOLEANS else "text"


def _field_column(name: str) -> str:
    """The column of a transaction's field. ``amount`` is the feature's name, in the bank's currency."""
    return "transaction_amount" if name == "amount" else name


_FIELDS: Final = MappingProxyType({name: _field_kind(name) for name in Transaction.__struct_fields__})

SCORED_COLUMNS: Final[Mapping[str, ColumnKind]] = MappingProxyType({
    "source_partition": "integer",
    "source_offset": "integer",
    "timestamp_ms": "integer",
    "at": "number",
    "billing_value": "number",
    **{_field_column(name): kind for name, kind in _FIELDS.items()},
    **dict.fromkeys(_DECIDED_TEXT, "text"),
    **dict.fromkeys(_ACTIONS, "text"),
    "scope": "text",
    **dict.fromkeys(_DECIDED_BOOLEAN, "boolean"),
    "scored": "boolean",
    "layout": "text",
    **dict.fromkeys(("raw", "percentile", "score"), "number"),
    "shadow": "text",
    "counters": "text",
    TAGS_COLUMN: "text",
    **dict.fromkeys(COUNTED, "number"),
    **dict.fromkeys(_FEATURE_NAMES, "number"),
})  # fmt: skip
"""Of `scored`. ``timestamp_ms``: the transaction's own in the log; ``at``: its event time, unix seconds;
``billing_value``: what it is worth in minor units of the bank's currency; ``scored``: whether it has features and a
score, which reversals, credits and clearings of something counted before do not; ``shadow``: the challengers' scores by
their versions, as a JSON object; missing where none was asked; ``counters`` and ``counted_1`` to ``counted_7``: see
`archive_counters`; ``tags``: the customer's, as the scorer knew them (`tag_use`)."""

LABEL_COLUMNS: Final[Mapping[str, ColumnKind]] = MappingProxyType({
    "source_partition": "integer",
    "source_offset": "integer",
    "timestamp_ms": "integer",
    "id": "text",
    "transaction": "text",
    "card": "text",
    "fraud": "boolean",
    "fraud_type": "text",
    "source": "text",
    "confidence": "number",
    "supersedes": "text",
    "time": "text",
})  # fmt: skip
"""Of `labels`. ``timestamp_ms``: when it arrived; ``fraud`` missing: it withdraws."""

assert SCORED_COLUMNS.keys() >= SCHEMA.keys(), "a rule could ask for what the archive does not hold"


class Told(msgspec.Struct, frozen=True, gc=False):
    """What the archive keeps of a record of `decisions`."""

    id: str
    card: str
    time: str
    outcome: str
    actions: Actions
    score: float
    percentile: float
    policy_version: str
    model_version: str
    decided_at: str
    customer: str | None = None
    warming_up: bool = False
    degraded: bool = False


class Block(msgspec.Struct, frozen=True, eq=False):
    """One record of `scored`, at ``offset`` of its own topic. ``matrix`` float64[n, F]; None: made under another
    catalogue of features, of which only the fingerprint is known here. ``shadow`` float64[n, S], the scores of the
    challengers whose versions are ``shadows``; ``counted`` float64[n, K] the policy's own counters, which ``counters``
    tells (`archive_counters`); ``tags`` the customers', None where none were told."""

    offset: int
    layout: str
    versions: tuple[str, str]
    matrix: NDArray[np.float64] | None
    raw: NDArray[np.float64]
    shadows: Sequence[str] = ()
    shadow: NDArray[np.float64] | None = None
    counters: str | None = None
    counted: NDArray[np.float64] | None = None
    tags: Sequence[str | None] | None = None


class ArchiveRow(NamedTuple):
    """One decided transaction. ``next``: the offset after its decision's. ``event`` None: the log no longer held it;
    ``block`` None: it has no score. ``same_versions`` False: the row ``at_row`` of ``block`` was scored under others
    than the decision's."""

    offset: int
    timestamp_ms: int
    next: int
    told: Told
    event: Event | None
    block: Block | None
    at_row: int
    same_versions: bool


class ArrivedLabel(NamedTuple):
    offset: int
    timestamp_ms: int
    label: Label


def scored_columns(partition: int, rows: Sequence[ArchiveRow]) -> dict[str, NDArray[Any]]:
    """`SCORED_COLUMNS` of ``rows``, each of their length."""
    table = _beginning(partition, rows)
    events = [row.event for row in rows]
    table["at"] = _floats([_absent if event is None else event.at for event in events])
    table["billing_value"] = _floats([_absent if event is None else event.amount for event in events])
    told = [row.told for row in rows]
    transactions = [_remains(row.told) if row.event is None else row.event.transaction for row in rows]
    for name, kind in _FIELDS.items():
        table[_field_column(name)] = _column(kind, transactions, name)
    gone = [event is None for event in events]
    if any(gone):
        table["transaction_amount"][gone] = _absent
        table["currency"][gone] = table["type"][gone] = None
    for name in _DECIDED_TEXT:
        table[name] = _column("text", told, name)
    for name in _DECIDED_BOOLEAN:
        table[name] = _column("boolean", told, name)
    actions = [one.actions for one in told]
    for column, name in _ACTIONS.items():
        table[column] = _column("text", actions, name)
    table["scope"] = _texts([one.scope if isinstance(one.scope, str) else None for one in actions])
    table |= _scores(rows)
    return table


def label_columns(partition: int, rows: Sequence[ArrivedLabel]) -> dict[str, NDArray[Any]]:
    """`LABEL_COLUMNS` of ``rows``, each of their length."""
    table = _beginning(partition, rows)
    labels = [row.label for row in rows]
    for name, kind in LABEL_COLUMNS.items():
        if name not in table:
            table[name] = _column(kind, labels, name)
    return table


_absent = float("nan")
_encode = msgspec.json.Encoder().encode


def _beginning(partition: int, rows: Sequence[ArchiveRow] | Sequence[ArrivedLabel]) -> dict[str, NDArray[Any]]:
    return {
        "source_partition": np.full(len(rows), partition, dtype=np.int64),
        "source_offset": np.array([row.offset for row in rows], dtype=np.int64),
        "timestamp_ms": np.array([row.timestamp_ms for row in rows], dtype=np.int64),
    }


def _remains(told: Told) -> Transaction:
    """What a decision tells of a transaction that the log no longer holds; what it must be given besides is blanked."""
    return Transaction(id=told.id, card=told.card, time=told.time, customer=told.customer, amount=0, currency="")


def _column(kind: ColumnKind, values: Sequence[Any], name: str) -> NDArray[Any]:
    found = list(map(attrgetter(name), values))
    return _texts(found) if kind == "text" else _floats(found)


def _texts(values: list[str | None]) -> NDArray[np.object_]:
    return np.array(values, dtype=np.object_)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)  # NaN of None, 0 and 1 of booleans


def _scores(rows: Sequence[ArchiveRow]) -> dict[str, NDArray[Any]]:
    """The columns that come from `scored`. Score and percentile are the decision's own: the same numbers."""
    n = len(rows)
    matrix = np.full((n, len(CATALOGUE)), np.nan)
    raw, layout, shadow = np.full(n, np.nan), np.full(n, None, dtype=np.object_), np.full(n, None, dtype=np.object_)
    counters, counted = np.full(n, None, dtype=np.object_), np.full((n, len(COUNTED)), np.nan)
    tags = np.full(n, None, dtype=np.object_)
    start = 0
    for block, group in groupby(rows, key=attrgetter("block")):
        chosen = [row.at_row for row in group]
        end = start + len(chosen)
        if block is not None:
            if block.matrix is not None:
                matrix[start:end] = block.matrix[chosen]
            raw[start:end] = block.raw[chosen]
            layout[start:end] = block.layout
            if block.shadow is not None:
                told = by_version(block.shadows, block.shadow[chosen])
                shadow[start:end] = [_encode(one).decode() if one else None for one in told]
            if block.counters is not None and block.counted is not None:
                counters[start:end] = block.counters
                counted[start:end, : block.counted.shape[1]] = block.counted[chosen]
            if block.tags is not None:
                tags[start:end] = [block.tags[at_row] for at_row in chosen]
        start = end
    others = [not row.same_versions for row in rows]
    counters[others], counted[others], tags[others] = None, np.nan, None
    raw[others] = np.nan
    has = np.array([row.block is not None for row in rows])
    score = np.where(has, _floats([row.told.score for row in rows]), np.nan)
    percentile = np.where(has, _floats([row.told.percentile for row in rows]), np.nan)
    features = {name: np.ascontiguousarray(matrix[:, index]) for index, name in enumerate(_FEATURE_NAMES)}
    return {
        "scored": has.astype(np.float64), "layout": layout, "raw": raw, "percentile": percentile, "score": score,
        "shadow": shadow, "counters": counters, TAGS_COLUMN: tags, **dict(zip(COUNTED, counted.T.copy(), strict=True)), **features,
    }  # fmt: skip
