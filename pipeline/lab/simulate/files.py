"""A simulated history as a file: CSV or JSON lines, with the truth in a column ``fraud`` (0 or 1).

That column is for `evaluate`, which shows it to the learner only after its delay; on a topic it never appears.
"""

import csv
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from pipeline.lab.simulate.attempt import Attempt, Transaction, Truth

COLUMNS = (*Transaction.__struct_fields__, "fraud")
FORMATS = (".csv", ".jsonl")


class TruthFile:
    """The truth as JSON lines ``{"id", "fraud", "kind"}``, each on disk's doorstep at once: a reader may follow.
    ``append``: after what is there."""

    def __init__(self, path: Path, append: bool = False) -> None:
        self._file: IO[bytes] = path.open("ab" if append else "wb")

    def __call__(self, truth: Truth) -> None:
        self._file.write(msgspec.json.encode(truth._asdict()) + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def write_history(
    attempts: Iterable[Attempt], out: Path, count: int | None = None, truth: Callable[[Truth], None] | None = None
) -> int:
    """Write at most ``count`` attempts to ``out``, its form by its suffix, and answer how many there were.

    Raises ValueError for a suffix that is not in `FORMATS`, OSError when the file cannot be written.
    """
    if out.suffix not in FORMATS:
        raise ValueError(f"{out}: the file must end in one of {', '.join(FORMATS)}")
    chosen = attempts if count is None else islice(attempts, count)
    write = _csv_writer if out.suffix == ".csv" else _jsonl_writer
    written = 0
    with out.open("w", encoding="utf-8", newline="") as file:
        put = write(file)
        for attempt in chosen:
            put(attempt)
            if truth is not None:
                truth(attempt.truth)
            written += 1
    return written


def _csv_writer(file: IO[str]) -> Callable[[Attempt], None]:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)

    def put(attempt: Attempt) -> None:
        values = msgspec.structs.astuple(attempt.transaction)
        shown = ["" if value is None else "true" if value is True else value for value in values]
        rows.writerow([*shown, int(attempt.truth.fraud)])

    return put


def _jsonl_writer(file: IO[str]) -> Callable[[Attempt], None]:
    def put(attempt: Attempt) -> None:
        file.write(f'{attempt.value().decode()[:-1]},"fraud":{int(attempt.truth.fraud)}}}\n')

    return put
