"""The archive's readers' side: decided transactions and labels of past days, by DuckDB over the Parquet files."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from pipeline.adapters import parquet_files as files
from pipeline.adapters.parquet_writing import COLUMNS, TYPES, connected, listed
from pipeline.core.archive_columns import SCORED_COLUMNS
from pipeline.core.archive_files import Kind, Piece, that_count
from pipeline.core.archive_labels import RANKS

_ALL_DAYS = date.min, date.max

_RANK = "CASE source " + " ".join(f"WHEN '{source}' THEN {rank}" for source, rank in RANKS.items()) + " ELSE 0 END"

_IN_FORCE = f"""
WITH arrived AS (
    SELECT *, {_RANK} AS believed, CASE source WHEN 'cardholder' THEN coalesce(confidence, 0) ELSE 0 END AS sure,
        row_number() OVER (ORDER BY timestamp_ms, source_partition, source_offset) AS turn
    FROM ({{labels}}) WHERE timestamp_ms <= {{at_ms}}
), told AS (
    SELECT * FROM arrived
    QUALIFY id IS NULL OR row_number() OVER (PARTITION BY "transaction", id ORDER BY turn) = 1
)
SELECT "transaction", card, fraud, source, fraud_type, timestamp_ms FROM told AS label
WHERE fraud IS NOT NULL
    AND NOT EXISTS (
        FROM told AS later WHERE later."transaction" = label."transaction" AND later.turn > label.turn
        AND (later.supersedes = label.id AND later.believed >= label.believed
            OR later.supersedes IS NULL AND later.fraud IS NULL AND later.source = label.source))
QUALIFY row_number() OVER (PARTITION BY "transaction" ORDER BY believed DESC, sure DESC, turn DESC) = 1
ORDER BY turn
"""


class ParquetArchive:
    """The Archive port on the directory ``root``; ``connection`` is one of `connected`, or a DuckDB of the caller's with
    more threads."""

    def __init__(self, root: Path, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self._root = root
        self._connection = connected() if connection is None else connection

    def days(self, kind: Kind = "scored") -> Sequence[date]:
        return sorted({each.day for each in files.pieces_of(self._root, kind)})

    def relation(self, first: date, last: date) -> duckdb.DuckDBPyRelation:
        return self._connection.sql(all_columns("scored", files.paths_that_count(self._root, "scored", first, last)))

    def columns(
        self, first: date, last: date, names: Sequence[str], condition: str = "", at_a_time: int = 100_000
    ) -> Iterator[dict[str, NDArray[Any]]]:
        unknown = [name for name in names if name not in SCORED_COLUMNS]
        if unknown:
            raise KeyError(f"the archive has no column {unknown[0]}")
        counted = that_count(files.pieces_of(self._root, "scored", first, last))
        wanted = ", ".join(f'"{name}"' for name in names)
        for pieces, low, high in _shares(counted, at_a_time):
            paths = [str(files.path_of(self._root, "scored", each)) for each in pieces]
            found = self._connection.execute(
                f"SELECT {wanted} FROM ({all_columns('scored', paths)}) "
                f"WHERE source_offset BETWEEN {low} AND {high}" + (f" AND ({condition})" if condition else "")
            ).fetchnumpy()
            if len(found[names[0]]):
                yield {name: _as_rules_take(found[name], name) for name in names}

    def transaction(
        self, identifier: str, first: date | None = None, last: date | None = None
    ) -> Mapping[str, Any] | None:
        paths = files.paths_that_count(self._root, "scored", first or _ALL_DAYS[0], last or _ALL_DAYS[1])
        if not paths:
            return None
        found = self._connection.execute(
            f"SELECT * EXCLUDE (day) FROM ({all_columns('scored', paths)}) WHERE id = ? "
            "ORDER BY timestamp_ms, source_partition, source_offset LIMIT 1",
            [identifier],
        )
        names = [column[0] for column in found.description]
        rows = found.fetchall()  # to its end: a result half read keeps the connection from the next question
        return dict(zip(names, rows[0], strict=True)) if rows else None

    def labels_in_force(
        self, at_ms: int, first: date | None = None, last: date | None = None
    ) -> dict[str, NDArray[Any]]:
        labels = all_columns(
            "labels", files.paths_that_count(self._root, "labels", first or _ALL_DAYS[0], last or _ALL_DAYS[1])
        )
        found = self._connection.execute(_IN_FORCE.format(labels=labels, at_ms=int(at_ms))).fetchnumpy()
        return {
            "transaction": _texts(found["transaction"]),
            "card": _texts(found["card"]),
            "fraud": _numbers(found["fraud"]),
            "source": _texts(found["source"]),
            "fraud_type": _texts(found["fraud_type"]),
            "timestamp_ms": np.asarray(found["timestamp_ms"], dtype=np.int64),
        }


def all_columns(kind: Kind, paths: Sequence[str]) -> str:
    """The rows of ``paths`` with every column that the archive has today, whatever it had when they were written."""
    nothing = ", ".join(f'CAST(NULL AS {TYPES[what]}) AS "{name}"' for name, what in COLUMNS[kind].items())
    none = f"SELECT {nothing}, CAST(NULL AS DATE) AS day WHERE false"
    if not paths:
        return none
    rows = (
        f"read_parquet({listed(paths)}, union_by_name = true, hive_partitioning = true, hive_types = {{'day': DATE}})"
    )
    return f"{none} UNION ALL BY NAME SELECT * FROM {rows}"


def _shares(counted: Sequence[Piece], at_a_time: int) -> Iterator[tuple[Sequence[Piece], int, int]]:
    """Files, and the first and last source offset to read of them: together, or of a large file a part, some
    ``at_a_time`` rows. A file's offsets rise, so its row groups outside are not read."""
    together: list[Piece] = []
    rows = 0
    for each in counted:
        size = each.last - each.first + 1
        if together and rows + size > at_a_time:
            yield together, 0, max(one.last for one in together)
            together, rows = [], 0
        if size > at_a_time:
            for low in range(each.first, each.last + 1, at_a_time):
                yield [each], low, min(low + at_a_time - 1, each.last)
        else:
            together.append(each)
            rows += size
    if together:
        yield together, 0, max(one.last for one in together)


def _as_rules_take(column: NDArray[Any], name: str) -> NDArray[Any]:
    return _texts(column) if SCORED_COLUMNS[name] == "text" else _numbers(column)


def _texts(column: NDArray[Any]) -> NDArray[np.object_]:
    if isinstance(column, np.ma.MaskedArray):
        texts = column.data.astype(np.object_)
        texts[np.ma.getmaskarray(column)] = None
        return texts
    return column.astype(np.object_, copy=False)


def _numbers(column: NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.ma.getdata(column).astype(np.float64)
    numbers[np.ma.getmaskarray(column)] = np.nan
    return numbers
