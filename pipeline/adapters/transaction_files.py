"""Labelled transactions from a file: CSV, JSON lines or Parquet, each row as the message it would be on the topic.

A row leaves here as the bytes that `pipeline.core.transaction.decode` takes, so what a usable transaction is is said in
one place only. DuckDB reads CSV and Parquet, a slice at a time; a line of a JSONL file is the message already.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec

from pipeline.core.transaction import Refused, Transaction, unix_seconds

FORMATS = (".csv", ".jsonl", ".parquet")
REQUIRED = ("id", "card", "time", "amount", "currency", "fraud")
WHOLE = ("amount", "billing_amount", "available_credit")
REAL = ("latitude", "longitude")
FLAGS = ("recurring", "preauthorisation")
THREADS = 2
MAX_REJECTS = 20
"""Unreadable lines that are told one by one; the others are counted."""
MAX_KIND = 64
"""Characters of a kind of fraud; more are cut off."""


class FileRefused(ValueError):
    """Why a file cannot be read at all: a sentence with its name."""


class LabelledRow(NamedTuple):
    """``number``: of the row, or of the line in a JSONL file, from 1. ``at``: event time, unix seconds, None where
    ``value`` tells none. ``fraud`` 0 or 1, None where the file says neither. ``kind``: of the fraud, where given."""

    number: int
    at: float | None
    value: bytes
    fraud: int | None
    kind: str | None


class Rejected(NamedTuple):
    """A line of a CSV file that is no row, and why. The header is line 1; a row that spans several lines counts as one.
    Rows after it are numbered without it."""

    line: int
    why: str


class TransactionFile:
    """``path``, opened for reading once. ``labelled`` False: it may do without ``fraud``. Raises FileRefused when it is of
    no known form, or lacks a column."""

    def __init__(self, path: Path, labelled: bool = True) -> None:
        self.path = path
        self._required = REQUIRED if labelled else tuple(name for name in REQUIRED if name != "fraud")
        if path.suffix not in FORMATS:
            raise FileRefused(f"{path}: the file must end in one of {', '.join(FORMATS)}")
        if not path.is_file():
            raise FileRefused(f"{path}: there is no such file")
        self._database = None if path.suffix == ".jsonl" else _database()
        self._query = "" if self._database is None else self._select(self._database)
        self.rejected: list[Rejected] = []
        self.rejects = 0

    def count(self) -> int:
        """How many rows there are, good or bad: for showing how far a reader is."""
        if self._database is None:
            with self.path.open("rb") as lines:
                return sum(1 for _ in lines)
        return int(self._fetch(f"FROM {self._source()} SELECT count(*)")[0][0])

    def rows(self, chunk: int) -> Iterator[list[LabelledRow]]:
        """The rows in the order of the file, at most ``chunk`` at a time. Afterwards ``rejected`` has the first
        `MAX_REJECTS` lines that are no rows, and ``rejects`` how many there were. Raises FileRefused when the file
        breaks off or is damaged."""
        yield from self._lines(chunk) if self._database is None else self._slices(self._database, chunk)

    def _lines(self, chunk: int) -> Iterator[list[LabelledRow]]:
        with self.path.open("rb") as lines:
            numbered = enumerate(lines, 1)
            while some := list(islice(numbered, chunk)):
                yield [_of_line(number, line.strip()) for number, line in some if line.strip()]

    def _slices(self, database: Any, chunk: int) -> Iterator[list[LabelledRow]]:
        number = 0
        try:
            found = database.execute(self._query, [str(self.path)])
            while some := found.fetchmany(chunk):
                yield [
                    LabelledRow(place, _seconds(micros, value), value.encode(), fraud, kind)
                    for place, (value, micros, fraud, kind) in enumerate(some, number + 1)
                ]
                number += len(some)
        except duckdb.Error as error:
            raise FileRefused(f"{self.path}: unreadable after row {number}: {_first_line(error)}") from None
        if self.path.suffix == ".csv":
            (self.rejects,) = self._fetch("SELECT count(DISTINCT line) FROM reject_errors", ())[0]
            wrong = "SELECT line, any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line LIMIT ?"
            self.rejected = [Rejected(line, str(why)) for line, why in self._fetch(wrong, (MAX_REJECTS,))]

    def _select(self, database: Any) -> str:
        columns = dict(self._columns(database))
        lacking = [name for name in self._required if name not in columns]
        if lacking:
            raise FileRefused(f"{self.path}: no column {', '.join(lacking)}; needed are {', '.join(self._required)}")
        fields = ", ".join(
            f"{field.name}: {_as_json(field.name, columns[field.name], field.default)}"
            for field in msgspec.structs.fields(Transaction)
            if field.name in columns
        )
        told = "CASE lower(fraud::VARCHAR) WHEN '1' THEN 1 WHEN 'true' THEN 1 WHEN '0' THEN 0 WHEN 'false' THEN 0 END"
        fraud = told if "fraud" in columns else "NULL"
        kind = f"left(nullif(fraud_type::VARCHAR, ''), {MAX_KIND})" if "fraud_type" in columns else "NULL"
        return (
            f"FROM {self._source()} SELECT to_json({{{fields}}})::VARCHAR, "
            f"epoch_us(TRY_CAST({_time(columns['time'])} AS TIMESTAMPTZ)), {fraud}, {kind}"
        )

    def _columns(self, database: Any) -> list[tuple[str, str]]:
        try:
            told = database.execute(f"DESCRIBE FROM {self._source()}", [str(self.path)]).fetchall()
        except duckdb.Error as error:
            raise FileRefused(f"{self.path}: unreadable: {_first_line(error)}") from None
        return [(name, kind) for name, kind, *_ in told]

    def _source(self) -> str:
        if self.path.suffix == ".parquet":
            return "read_parquet(?)"
        return "read_csv(?, all_varchar = true, header = true, delim = ',', quote = '\"', store_rejects = true)"

    def _fetch(self, query: str, arguments: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        assert self._database is not None
        found: list[tuple[Any, ...]] = self._database.execute(
            query, [str(self.path)] if arguments is None else list(arguments)
        ).fetchall()
        return found


def _database() -> Any:
    return duckdb.connect(
        config={"threads": THREADS, "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )


def _as_json(name: str, kind: str, default: object) -> str:
    """The SQL that makes column ``name`` a JSON value. What is not of a field's form stays a string: `decode` then says
    what is wrong with it. (A CAST would round 12.5 to 12, and an empty CSV field is a missing one.)"""
    if name == "time":
        return f"nullif({_time(kind)}, '')"
    text = f"nullif({name}::VARCHAR, '')"
    if name in WHOLE:
        return f"CASE WHEN regexp_full_match({text}, '-?[0-9]{{1,18}}') THEN {text}::JSON ELSE to_json({text}) END"
    if name in REAL:
        return f"CASE WHEN TRY_CAST({text} AS DOUBLE) IS NULL THEN to_json({text}) ELSE to_json({text}::DOUBLE) END"
    if name in FLAGS:
        return f"CASE WHEN lower({text}) IN ('true', 'false') THEN lower({text})::JSON ELSE to_json({text}) END"
    return f"coalesce({text}, '{default}')" if isinstance(default, str) else text


def _time(kind: str) -> str:
    """RFC 3339 of the column ``time``; a timestamp without a zone is one in UTC."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return "strftime(make_timestamp(epoch_us(time)), '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind.startswith("TIMESTAMP"):
        return "strftime(time::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%fZ')"
    return "time::VARCHAR"


class _Timed(msgspec.Struct):
    time: str


class _Labelled(msgspec.Struct):
    time: object = None
    fraud: object = None
    fraud_type: object = None


_timed = msgspec.json.Decoder(_Timed).decode
_labelled = msgspec.json.Decoder(_Labelled).decode


def _seconds(micros: int | None, value: str) -> float | None:
    """DuckDB refuses some times that RFC 3339 allows (small letters), and takes others that it does not."""
    if micros is not None:
        return micros / 1e6
    try:
        return unix_seconds(_timed(value).time)
    except (msgspec.DecodeError, Refused):
        return None


def _of_line(number: int, line: bytes) -> LabelledRow:
    try:
        told = _labelled(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return LabelledRow(number, None, line, None, None)
    at = None
    if isinstance(told.time, str):
        try:
            at = unix_seconds(told.time)
        except Refused:
            at = None
    fraud = int(told.fraud) if told.fraud in (0, 1) else None
    kind = told.fraud_type[:MAX_KIND] if isinstance(told.fraud_type, str) and told.fraud_type else None
    return LabelledRow(number, at, line, fraud, kind)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
