"""Simulated transactions as columns, and columns as a file: CSV, JSON lines or Parquet, with the truth beside them.

A *batch* holds some transactions in order of time: name of a field → one value for each (NumPy; None where a
transaction lacks the field). All batches of a table have the same names in the same order. ``fraud`` (0 or 1) and
``fraud_type`` are for `evaluate`, which shows them to the learner only after its delay; on a topic they never appear.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Batch = Mapping[str, NDArray[Any]]
Put = Callable[[Batch], None]

FORMATS = (".csv", ".jsonl", ".parquet")
SQL_TYPES = {
    "amount": "BIGINT",
    "billing_amount": "BIGINT",
    "recurring": "BOOLEAN",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "fraud": "TINYINT",
}
"""Columns of a Parquet file that are not text. Times are RFC 3339 text there too, as they are on the topic."""
MAX_TRANSACTIONS = 100_000_000
"""A stream that is made as a whole and would have more than this is refused: it would not fit in memory."""


class NotWritten(ValueError):
    """Why there is no such file: a sentence for the one who asked for it."""


def texts(values: Iterable[str | None]) -> NDArray[np.object_]:
    """A column of text."""
    return np.array(list(values), dtype=object)


def times_of_day(utc_offset_h: int) -> NDArray[np.object_]:
    """The second half of an RFC 3339 time for every second of a day: ``T00:00:00+08:00`` …"""
    return texts(f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}{utc_offset_h:+03d}:00" for s in range(86_400))


def write_table(batches: Iterable[Batch], out: Path) -> int:
    """Write the transactions of ``batches`` to ``out``, its form by its suffix; answer how many there were.

    Raises NotWritten for a suffix that is not in `FORMATS` and for no batch at all, OSError when the file cannot be
    written.
    """
    if out.suffix not in FORMATS:
        raise NotWritten(f"{out}: the file must end in one of {', '.join(FORMATS)}")
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise NotWritten(f"{out}: there is no transaction to write")
    written = 0
    with _writer(out, tuple(first)) as put:
        for batch in chain((first,), rest):
            put(batch)
            written += size(batch)
    return written


def size(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def at_most(batches: Iterable[Batch], count: int) -> Iterator[Batch]:
    """The first ``count`` (≥ 1) transactions of ``batches``."""
    left = count
    for batch in batches:
        if size(batch) >= left:
            yield {name: values[:left] for name, values in batch.items()}
            return
        left -= size(batch)
        yield batch


@contextmanager
def _writer(out: Path, names: Sequence[str]) -> Iterator[Put]:
    if out.suffix == ".parquet":
        # every command line passes by here; only this one has to wait for DuckDB
        from pipeline.adapters.columns_to_parquet import parquet_writer

        with parquet_writer(out, {name: SQL_TYPES.get(name, "VARCHAR") for name in names}) as put:
            yield put
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        yield _csv(file, names) if out.suffix == ".csv" else _jsonl(file, names)


def _csv(file: IO[str], names: Sequence[str]) -> Put:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(names)

    def put(batch: Batch) -> None:
        columns = [values.tolist() for values in batch.values()]
        if "recurring" in batch:
            place = names.index("recurring")
            columns[place] = [None if value is None else str(value).lower() for value in columns[place]]
        rows.writerows(zip(*columns, strict=True))

    return put


def _jsonl(file: IO[str], names: Sequence[str]) -> Put:
    encode = msgspec.json.Encoder().encode

    def put(batch: Batch) -> None:
        rows = zip(*(values.tolist() for values in batch.values()), strict=True)
        for row in rows:
            present = {name: value for name, value in zip(names, row, strict=True) if value is not None}
            file.write(encode(present).decode() + "\n")

    return put
