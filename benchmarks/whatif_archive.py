"""A made-up archive for `whatif.py`: as many decisions as asked for, with every column that the archive has.

No two ids are alike; cards and customers come again; the score is skewed, so that one decision in some seventy reaches the
delivered policy's lowest threshold; one in two hundred has a label. The figures mean nothing, their sizes do.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from pipeline.adapters import parquet_files as files
from pipeline.adapters.parquet_writing import TYPES, connected, quoted
from pipeline.core.archive_columns import LABEL_COLUMNS, SCORED_COLUMNS, ColumnKind
from pipeline.core.archive_files import Kind, Piece
from pipeline.core.columns import SCHEMA
from pipeline.core.features import LAYOUT

FIRST = date(2026, 9, 1)
DAYS = 10
PARTITIONS = 4
CARDS_PER_ROW = 0.2
OLD_POLICY = "yesterday@000000000000"
_FORMAT = "(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2, ROW_GROUP_SIZE 122880)"

_WRITTEN = {
    "source_partition": "{partition}",
    "source_offset": "{first} + n",
    "timestamp_ms": "{start} + n * {step}",
    "at": "({start} + n * {step}) / 1000.0",
    "id": "substr(md5(CAST(CAST({first} AS BIGINT) + n + CAST({partition} AS BIGINT) * 1000000000 AS VARCHAR)), 1, 20)",
    "card": "'tok_k1_' || md5(CAST(who AS VARCHAR))",
    "customer": "'c' || (who // 2)",
    "account": "'a' || who",
    "time": "strftime(make_timestamp(({start} + n * {step}) * 1000), '%Y-%m-%dT%H:%M:%SZ')",
    "currency": "'CNY'",
    "country": "['CN', 'CN', 'CN', 'CN', 'TH', 'US', 'JP', 'GB'][1 + CAST(floor(r1 * 7.99) AS INTEGER)]",
    "home_country": "'CN'",
    "entry_mode": "['chip', 'contactless', 'ecommerce', 'magstripe', 'manual'][1 + CAST(floor(r2 * r2 * 4.99) AS INTEGER)]",
    "mcc": "['5411', '6011', '5967', '7995', '5732', '4829'][1 + CAST(floor(r3 * 5.99) AS INTEGER)]",
    "merchant": "'m' || CAST(floor(r1 * r2 * 50000) AS INTEGER)",
    "type": "'authorisation'",
    "kind": "CASE WHEN r3 < 0.1 THEN 'cash' ELSE 'purchase' END",
    "billing_value": "CAST(exp(7 + 4 * r2) AS BIGINT)",
    "transaction_amount": "CAST(exp(7 + 4 * r2) AS BIGINT)",
    "amount": "floor(exp(7 + 4 * r2))",
    "score": "least(1, 0.003 * pow(r1, -0.9))",
    "percentile": "100 * (1 - r1)",
    "raw": "r1 * 3",
    "scored": "true",
    "layout": quoted(LAYOUT),
    "outcome": "CASE WHEN r1 < 0.0136 THEN 'review' ELSE 'approve' END",
    "queue_action": "CASE WHEN r1 < 0.0136 THEN 'review' ELSE 'none' END",
    "transaction_action": "'approve'",
    "card_action": "'none'",
    "contact_action": "'none'",
    "policy_version": quoted(OLD_POLICY),
    "model_version": "'hst-000000000000'",
    "warming_up": "false",
    "degraded": "false",
    "recurring": "r3 < 0.05",
}
_GENERIC: dict[ColumnKind, str] = {"text": "NULL", "integer": "NULL", "boolean": "NULL", "number": "NULL"}


def build(root: Path, rows: int, threads: int) -> None:
    """``rows`` decisions below ``root``, unless they are there already."""
    pieces = list(_pieces(rows))
    if root.exists() and len(files.pieces_of(root, "scored")) == len(pieces):
        return
    connection = connected()
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET memory_limit = '1500MB'")
    for each in pieces:
        _write(root, "scored", each, _decisions(each, int(rows * CARDS_PER_ROW)), connection)
        _write(root, "labels", each._replace(decisions=None, scored=None), _labels(each, root), connection)


def _pieces(rows: int) -> Iterator[Piece]:
    size = rows // (DAYS * PARTITIONS)
    for number in range(DAYS):
        for partition in range(PARTITIONS):
            first = number * size
            yield Piece(FIRST + timedelta(number), partition, first, first + size - 1, first + size, 0)


def _write(root: Path, kind: Kind, each: Piece, query: str, connection: duckdb.DuckDBPyConnection) -> None:
    path = files.path_of(root, kind, each)
    files.make_folder(path.parent)
    connection.execute(f"COPY ({query}) TO {quoted(str(path))} {_FORMAT}")


def _decisions(each: Piece, cards: int) -> str:
    size = each.last - each.first + 1
    start = round(datetime(each.day.year, each.day.month, each.day.day, tzinfo=UTC).timestamp() * 1000)
    place = {"partition": each.partition, "first": each.first, "start": start, "step": 86_000_000 // size}
    columns = ", ".join(
        f'CAST({_expression(name, number).format(**place)} AS {TYPES[kind]}) AS "{name}"'
        for number, (name, kind) in enumerate(SCORED_COLUMNS.items())
    )
    chance = ", ".join(f"random() AS r{number}" for number in (1, 2, 3))
    return (
        f"SELECT {columns} FROM (SELECT range AS n, CAST(floor(random() * {cards}) AS BIGINT) AS who, {chance} "
        f"FROM range({size}))"
    )


def _expression(name: str, number: int) -> str:
    if name in _WRITTEN:
        return _WRITTEN[name]
    if SCORED_COLUMNS[name] == "number" and SCHEMA.get(name) == "number":  # a feature: some are whole, many are not
        return ("floor(r1 * r3 * 12)", "r2 * 40 * r3", "round(r3 * r1 * 6, 2)")[number % 3]
    return _GENERIC[SCORED_COLUMNS[name]]


def _labels(each: Piece, root: Path) -> str:
    path = quoted(str(files.path_of(root, "scored", each)))
    written = {
        "source_partition": str(each.partition), "source_offset": "source_offset", "timestamp_ms": "timestamp_ms + 86400000 * 5",
        "id": "'l' || id", "transaction": "id", "card": "card", "fraud": "score > 0.05", "source": "'chargeback'",
        "time": '"time"',
    }  # fmt: skip
    columns = ", ".join(
        f'CAST({written.get(name, "NULL")} AS {TYPES[kind]}) AS "{name}"' for name, kind in LABEL_COLUMNS.items()
    )
    return f"SELECT {columns} FROM read_parquet({path}) WHERE source_offset % 200 = 0 OR score > 0.5"
