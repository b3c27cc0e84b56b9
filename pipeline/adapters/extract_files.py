"""A bank's own extract, row by row through its mapping, in order of time.

A CSV file in any encoding that Python knows, or Parquet. The rows as they will be scored, tokens where numbers were, go
into a nameless temporary file, so an extract may be larger than memory and need not be sorted; what is read of it is gone
when the program ends, however it ends.
"""

import csv
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np

from pipeline.adapters.transaction_files import FileRefused, LabelledRow, Rejected
from pipeline.core.extract_mapping import ExtractMapping, FileForm, RowRefused
from pipeline.core.masking import masked_payload

BROKEN = "broken_line"
AT_A_TIME = 2_000
MAX_FIELD_CHARACTERS = 131_072
MAX_COLUMNS_SHOWN = 60


def header_of(path: Path, form: FileForm) -> Sequence[str]:
    """The names of the columns. Raises FileRefused."""
    return next(_table(path, form))


class ExtractFile:
    """``path`` through ``mapping``: what `TransactionFile` is for a file in our own form. ``refused`` is told number (of
    the row, from 1), reason and sentence of each row that the mapping cannot take. Raises FileRefused."""

    def __init__(self, path: Path, mapping: ExtractMapping, refused: Callable[[int, str, str], None]) -> None:
        self.path = path
        self.rejected: list[Rejected] = []
        self.rejects = 0
        self._mapping = mapping
        self._refused = refused
        header = [name.strip() for name in header_of(path, mapping.form)]
        lacking = [column for column in mapping.columns if column not in header]
        if lacking:
            there = masked_payload(", ".join(header[:MAX_COLUMNS_SHOWN]).encode())
            raise FileRefused(
                f"{path}: no column {', '.join(lacking)}; it has {there}. Correct [fields], or encoding and delimiter in [file]"
            )
        self._header = header
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this object; it has no name on disk
        self._at, self._place, self._number = array("d"), array("q", [0]), array("q")
        self._truth: list[tuple[int | None, str | None]] = []
        self.read = 0

    def load(self, progress: Callable[[int], None] | None = None) -> None:
        """Read all of it. ``progress`` is told rows."""
        feed = _table(self.path, self._mapping.form)
        next(feed)
        for number, line in enumerate(feed, 1):
            self.read = number
            self._take(number, line)
            if progress is not None and number % AT_A_TIME == 0:
                progress(number)

    def _take(self, number: int, line: Sequence[str]) -> None:
        if len(line) != len(self._header):
            self._refused(number, BROKEN, f"{len(line)} columns where the header has {len(self._header)}")
            return
        told: Mapping[str, str] = dict(zip(self._header, line, strict=True))
        try:
            row = self._mapping.row(number, told)
        except RowRefused as refused:
            self._refused(number, refused.reason, refused.detail)
            return
        self._spool.write(row.value)
        self._at.append(row.at)
        self._place.append(self._place[-1] + len(row.value))
        self._number.append(number)
        self._truth.append((row.fraud, row.kind))

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last event time, unix seconds; None: no row could be taken."""
        return (min(self._at), max(self._at)) if self._at else None

    def rows(self, chunk: int) -> Iterator[list[LabelledRow]]:
        """The rows in order of time (those of one moment as in the file), at most ``chunk`` at a time."""
        order = np.argsort(np.frombuffer(self._at, dtype=np.float64), kind="stable").tolist() if self._at else []
        for start in range(0, len(order), chunk):
            yield [self._row(index) for index in order[start : start + chunk]]

    def _row(self, index: int) -> LabelledRow:
        start, end = self._place[index], self._place[index + 1]
        self._spool.seek(start)
        return LabelledRow(self._number[index], self._at[index], self._spool.read(end - start), *self._truth[index])


def _table(path: Path, form: FileForm) -> Iterator[list[str]]:
    """Header and rows as texts. Raises FileRefused."""
    if not path.is_file():
        raise FileRefused(f"{path}: there is no such file")
    yield from _parquet(path) if path.suffix == ".parquet" else _csv(path, form)


def _csv(path: Path, form: FileForm) -> Iterator[list[str]]:
    encoding = "utf-8-sig" if form.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else form.encoding
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as lines:
            csv.field_size_limit(MAX_FIELD_CHARACTERS)
            reader = csv.reader(lines, delimiter=form.delimiter)
            found = False
            for line in reader:
                if line:
                    found = True
                    yield line
    except LookupError:
        raise FileRefused(
            f"encoding = {form.encoding!r} is none that is known; write one like cp1252 or gb18030"
        ) from None
    except csv.Error as error:
        raise FileRefused(f"{path}: line {reader.line_num} is not CSV: {error}") from None
    if not found:
        raise FileRefused(f"{path}: the file is empty")


def _parquet(path: Path) -> Iterator[list[str]]:
    try:
        found = duckdb.connect().execute("FROM read_parquet(?)", [str(path)])
        yield [column[0] for column in found.description]
        while some := found.fetchmany(AT_A_TIME):
            yield from (["" if value is None else str(value) for value in row] for row in some)
    except duckdb.Error as error:
        raise FileRefused(f"{path}: unreadable: {str(error).split(chr(10), 1)[0]}") from None
