"""Past decisions as columns, by DuckDB over the archive's Parquet files: what what-if keeps open and asks again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from pipeline.adapters import freed_memory
from pipeline.adapters import parquet_files as files
from pipeline.adapters.parquet_reading import ParquetArchive, all_columns
from pipeline.adapters.parquet_writing import connected, listed, quoted
from pipeline.core.archive_columns import SCORED_COLUMNS
from pipeline.core.archive_files import Piece, that_count
from pipeline.ports_archive import Coded, KnownRows, PastRows, RecordedAs

MEMORY = "200MB"
"""DuckDB's own share: what is kept open lies beside it."""
_RECORDED = (
    "policy_version, outcome, coalesce(transaction_action, 'approve'), coalesce(card_action, 'none'), "
    "coalesce(contact_action, 'none'), coalesce(queue_action, 'none'), scope, coalesce(scored, false), layout, "
    "currency IS NOT NULL, counters"
)
_ROWS = (
    f"SELECT hash({_RECORDED}) AS recorded, score, coalesce(billing_value, 0) AS value, hash(card) AS card, "
    "hash(coalesce(customer, account, card)) AS customer FROM ({rows})"
)
_KNOWN = """
SELECT source_partition, source_offset, said = 1 AS fraud, (known_ms - timestamp_ms) / 1000.0 AS delay_s
FROM (SELECT source_partition, source_offset, id, card, timestamp_ms FROM ({rows})) AS past
JOIN known ON past.id = known."transaction" AND past.card = known.known_card
"""
_LISTS = (
    "CREATE OR REPLACE TABLE list_entries AS SELECT CAST(list AS VARCHAR) AS list, CAST(value AS VARCHAR) AS value, until "
    "FROM told"
)


class ParquetTrials:
    """The Trials port on the archive in the directory ``root``. Several threads may ask at once."""

    def __init__(self, root: Path, threads: int) -> None:
        self._root = root
        self._connection = connected()
        self._connection.execute(f"SET threads = {int(threads)}")
        self._connection.execute(f"SET memory_limit = {quoted(MEMORY)}")
        self._connection.execute("SET parquet_metadata_cache = true")
        self._labels: tuple[date, int, dict[str, Any]] | None = None
        self.list_entries(())

    def pieces(self, first: date, last: date) -> Sequence[Piece]:
        return that_count(files.pieces_of(self._root, "scored", first, last))

    def rows(self, pieces: Sequence[Piece]) -> PastRows:
        rows = self._relation(pieces)
        with self._asking() as connection:
            ways = connection.execute(
                f"SELECT DISTINCT hash({_RECORDED}) AS recorded, {_RECORDED} FROM ({rows}) ORDER BY 1"
            ).fetchall()
            found = connection.execute(_ROWS.format(rows=rows)).fetchnumpy()
            counts = self._counts(pieces, connection)
            offsets = [self._offsets(each, count, connection) for each, count in zip(pieces, counts, strict=True)]
        digests = np.array([way[0] for way in ways], dtype=np.uint64)
        recorded = digests.searchsorted(np.asarray(found["recorded"], np.uint64)).astype(np.uint16)
        return PastRows(
            [RecordedAs(way[1], way[2], way[3:8], *way[8:]) for way in ways],
            recorded,
            _numbers(found["score"]),
            np.asarray(found["value"], np.int64),
            np.asarray(found["card"], np.uint64),
            np.asarray(found["customer"], np.uint64),
            np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))[:-1],
            offsets,
        )

    def columns(self, pieces: Sequence[Piece], wanted: Mapping[str, str]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        with self._asking() as connection:
            # a column that is more than a name may join, and a join may come in another order
            sorts = any(sql.strip('"') != name for name, sql in wanted.items())
            rows = self._relation(pieces)
            words = {name: self._words(sql, rows, connection) for name, sql in wanted.items() if _is_text(name)}
            given = {name: _code(sql, words[name]) if name in words else sql for name, sql in wanted.items()}
            named = ", ".join(f'{sql} AS "{name}"' for name, sql in given.items())
            columns = connection.execute(
                f"SELECT {'source_partition, source_offset, ' if sorts else ''}{named} FROM ({rows})"
            ).fetchnumpy()
            order = np.lexsort((columns["source_offset"], columns["source_partition"])) if sorts else slice(None)
            for name in wanted:
                column = columns.pop(name)[order]
                made[name] = _coded(column, words[name]) if name in words else _numbers(column)
        return made

    def list_entries(self, entries: Sequence[tuple[str, str, float]]) -> None:
        texts = [np.array([each[place] for each in entries], dtype=np.object_) for place in (0, 1)]
        until = np.array([each[2] for each in entries], dtype=np.float64)
        with self._asking({"told": {"list": texts[0], "value": texts[1], "until": until}}) as connection:
            connection.execute(_LISTS)

    def labels_version(self, first: date, known_at_ms: int) -> object:
        digest = blake2b(digest_size=16)
        for column in self._in_force(first, known_at_ms).values():
            digest.update(repr(column.tolist()).encode() if column.dtype == np.object_ else column.tobytes())
        return digest.digest()

    def known(self, pieces: Sequence[Piece], first: date, known_at_ms: int) -> KnownRows:
        labels = self._in_force(first, known_at_ms)
        if not len(labels["said"]):
            none = np.empty(0, np.int64)
            return KnownRows(none, none, none.astype(np.bool_), none.astype(np.float64))
        with self._asking({"known": labels}) as connection:
            found = connection.execute(_KNOWN.format(rows=self._relation(pieces))).fetchnumpy()
        return KnownRows(
            np.asarray(found["source_partition"], np.int64),
            np.asarray(found["source_offset"], np.int64),
            np.asarray(found["fraud"], np.bool_),
            _numbers(found["delay_s"]),
        )

    def give_back(self) -> None:
        freed_memory.give_back()

    def fields(
        self, pieces: Sequence[Piece], partitions: Any, offsets: Any, names: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        wanted = {"source_partition": partitions, "source_offset": offsets}
        touched = [each for each in pieces if np.any((partitions == each.partition) & (offsets >= each.first) & (offsets <= each.last))]  # fmt: skip
        if not touched:
            return []
        named = ", ".join(f'"{name}"' for name in names)
        few = f"WHERE source_offset IN ({', '.join(map(str, offsets.tolist()))})" if len(offsets) <= _FEW else ""
        with self._asking({"wanted": wanted}) as connection:
            found: list[tuple[Any, ...]] = connection.execute(
                f"SELECT source_partition, source_offset, {named} FROM read_parquet({listed(self._paths(touched))}) "
                f"SEMI JOIN wanted USING (source_partition, source_offset) {few}"
            ).fetchall()
        return found

    # --- parts

    def _relation(self, pieces: Sequence[Piece]) -> str:
        return all_columns("scored", self._paths(pieces))

    def _words(self, sql: str, rows: str, connection: duckdb.DuckDBPyConnection) -> list[str]:
        found = connection.execute(f"SELECT DISTINCT {sql} AS word FROM ({rows}) WHERE word IS NOT NULL ORDER BY 1").fetchall()  # fmt: skip
        return [str(word) for (word,) in found]

    def _paths(self, pieces: Sequence[Piece]) -> list[str]:
        return [str(files.path_of(self._root, "scored", each)) for each in pieces]

    def _counts(self, pieces: Sequence[Piece], connection: duckdb.DuckDBPyConnection) -> list[int]:
        paths = self._paths(pieces)
        if not paths:
            return []
        found = connection.execute(f"SELECT file_name, num_rows FROM parquet_file_metadata({listed(paths)})").fetchall()
        rows = dict(found)
        return [int(rows[path]) for path in paths]

    def _offsets(self, each: Piece, count: int, connection: duckdb.DuckDBPyConnection) -> NDArray[np.int64] | None:
        if count in (0, each.last - each.first + 1):
            return None
        found = connection.execute(f"SELECT source_offset FROM ({self._relation([each])})").fetchnumpy()
        return np.asarray(found["source_offset"], np.int64)

    def _in_force(self, first: date, known_at_ms: int) -> dict[str, Any]:
        """Kept for as long as the moment is the same one: each group of files asks for them."""
        if self._labels is None or self._labels[:2] != (first, known_at_ms):
            with self._asking() as connection:
                found = ParquetArchive(self._root, connection).labels_in_force(known_at_ms, first)
            names = {"transaction": "transaction", "known_card": "card", "said": "fraud", "known_ms": "timestamp_ms"}
            self._labels = (first, known_at_ms, {name: found[column] for name, column in names.items()})
        return self._labels[2]

    @contextmanager
    def _asking(self, beside: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own, with the tables ``beside``."""
        connection = self._connection.cursor()
        try:
            for name, columns in (beside or {}).items():
                connection.register(name, {key: np.ascontiguousarray(column) for key, column in columns.items()})
            yield connection
        except duckdb.IOException as error:
            raise OSError(f"the archive cannot be read: {error}") from error
        finally:
            connection.close()


_FEW = 1_000
"""So many rows are looked for by their offsets, by which parts of files are passed over; more are joined."""


_WORDS = 2_000


def _numbers(column: NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.ma.getdata(column).astype(np.float64)
    if isinstance(column, np.ma.MaskedArray):
        numbers[np.ma.getmaskarray(column)] = np.nan
    return numbers


def _is_text(name: str) -> bool:
    return SCORED_COLUMNS.get(name) == "text"


def _code(sql: str, words: Sequence[str]) -> str:
    """The number of a text among few ``words``; among many, the text: an enumeration that DuckDB is told with each
    question should be short."""
    if not words:
        return "-1"
    if len(words) > _WORDS:
        return sql
    return f"coalesce(CAST(enum_code(CAST({sql} AS ENUM({', '.join(map(quoted, words))}))) AS INTEGER), -1)"


def _coded(column: NDArray[Any], words: list[str]) -> Coded:
    if len(words) <= _WORDS:
        return Coded(np.asarray(column, np.int32), words)
    numbers = {word: number for number, word in enumerate(words)}
    codes = np.fromiter((numbers.get(text, -1) for text in np.ma.getdata(column)), np.int32, len(column))
    if isinstance(column, np.ma.MaskedArray):
        codes[np.ma.getmaskarray(column)] = -1
    return Coded(codes, words)
