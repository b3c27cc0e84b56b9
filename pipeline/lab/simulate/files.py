"""Simulated traffic as a file (CSV, JSON lines or Parquet) with the truth in columns of its own, and beside it."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from pipeline.lab.simulate.attempt import Attempt, Transaction, Truth
from pipeline.lab.simulate.table import Batch, texts, write_table

FIELDS = Transaction.__struct_fields__
ROWS_AT_ONCE = 10_000
GENUINE = "genuine"
"""The kind of a genuine transaction of a stream that tells no more about it."""

Told = Callable[[Truth], None]


class TruthFile:
    """The truth as JSON lines ``{"id", "fraud", "kind"}``, and ``point`` where there is one, each on disk's doorstep at
    once: a reader may follow. ``append``: after what is there."""

    def __init__(self, path: Path, append: bool = False) -> None:
        self._file: IO[bytes] = path.open("ab" if append else "wb")

    def __call__(self, truth: Truth) -> None:
        told = {name: value for name, value in truth._asdict().items() if value is not None}
        self._file.write(msgspec.json.encode(told) + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def write_history(attempts: Iterable[Attempt], out: Path, count: int | None = None, truth: Told | None = None) -> int:
    """Write at most ``count`` attempts to ``out``, its form by its suffix, and answer how many there were. Errors as of
    `write_table`."""
    return write_table(_history_batches(islice(attempts, count), truth), out)


def write_batches(batches: Iterable[Batch], out: Path, truth: Told | None = None) -> int:
    """As `write_table`, telling ``truth`` of each transaction."""
    return write_table(batches if truth is None else _telling(batches, truth), out)


def _history_batches(attempts: Iterator[Attempt], truth: Told | None) -> Iterator[Batch]:
    while chosen := list(islice(attempts, ROWS_AT_ONCE)):
        fields = zip(*(msgspec.structs.astuple(attempt.transaction) for attempt in chosen), strict=True)
        batch = {name: np.array(values, dtype=object) for name, values in zip(FIELDS, fields, strict=True)}
        batch["fraud"] = np.array([attempt.truth.fraud for attempt in chosen], dtype=np.int8)
        batch["fraud_type"] = texts(attempt.truth.kind if attempt.truth.fraud else None for attempt in chosen)
        batch["point_of_compromise"] = texts(attempt.truth.point for attempt in chosen)
        if truth is not None:
            for attempt in chosen:
                truth(attempt.truth)
        yield batch


def _telling(batches: Iterable[Batch], truth: Told) -> Iterator[Batch]:
    for batch in batches:
        for identity, kind in zip(batch["id"].tolist(), batch["fraud_type"].tolist(), strict=True):
            truth(Truth(identity, kind is not None, kind or GENUINE))
        yield batch
