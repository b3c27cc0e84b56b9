"""Which row of the archive a transaction's id is in: beside each file of rows another, of the same name with ``.ids``.

It holds the digests of the file's ids (`pipeline.core.entities.digest_of`) in rising order, uint64, then for each how far
its source offset lies beyond the file's first, uint32: twelve bytes a row, read where they lie. It comes after the file it
belongs to and goes before it, so none is ever left over; where one is missing, the ids themselves are read.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from pipeline.adapters import parquet_files as files
from pipeline.core.archive_files import Piece
from pipeline.core.entities import digest_of

SUFFIX = ".ids"
_BYTES = 12
Ids = tuple[NDArray[np.uint64], NDArray[np.uint32]]
"""Digests, rising, and how far each one's offset lies beyond the first of its file."""


def beside(path: Path) -> Path:
    """The file of ids of the file of rows ``path``."""
    return path.with_name(path.name + SUFFIX)


def sorted_ids(ids: Sequence[str], offsets: NDArray[np.int64], first: int) -> Ids:
    """Of rows with these ``ids`` at these source ``offsets``, in a file that begins at ``first``."""
    return _in_order(np.fromiter(map(digest_of, ids), np.uint64, len(ids)), offsets - first)


def put(path: Path, ids: Ids) -> None:
    """Write ``ids`` beside ``path``."""
    target = beside(path)
    digests, steps = ids
    files.unfinished(target).write_bytes(digests.astype("<u8").tobytes() + steps.astype("<u4").tobytes())
    files.publish(target)


def of(path: Path, first: int, connection: duckdb.DuckDBPyConnection) -> Ids:
    """Of the file of rows ``path``, which begins at ``first``. Raises FileNotFoundError when it is gone."""
    try:
        content = np.memmap(beside(path), dtype=np.uint8, mode="r")
    except (FileNotFoundError, ValueError):  # an empty file cannot be mapped, and belongs to no rows
        return _read(path, first, connection)
    rows = len(content) // _BYTES
    if len(content) % _BYTES:
        return _read(path, first, connection)
    return content[: 8 * rows].view("<u8"), content[8 * rows :].view("<u4")


def together(group: Sequence[Piece], paths: Sequence[Path], connection: duckdb.DuckDBPyConnection) -> Ids:
    """Of the one file that the files of ``group`` at ``paths`` become."""
    parts = [of(path, piece.first, connection) for piece, path in zip(group, paths, strict=True)]
    steps = [
        found.astype(np.int64) + (piece.first - group[0].first) for piece, (_, found) in zip(group, parts, strict=True)
    ]
    return _in_order(np.concatenate([digests for digests, _ in parts]), np.concatenate(steps))


def matching(ids: Ids, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How far beyond the file's first offset the rows lie whose digest is in ``wanted`` (rising)."""
    digests, steps = ids
    low = digests.searchsorted(wanted)
    high = digests.searchsorted(wanted, side="right")
    found = [steps[start:end] for start, end in zip(low.tolist(), high.tolist(), strict=True) if start < end]
    return np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)


def _in_order(digests: NDArray[np.uint64], steps: NDArray[np.int64]) -> Ids:
    order = np.argsort(digests, kind="stable")
    return digests[order], steps[order].astype(np.uint32)


def _read(path: Path, first: int, connection: duckdb.DuckDBPyConnection) -> Ids:
    try:
        found = connection.execute(
            "SELECT id, source_offset FROM read_parquet(?, hive_partitioning = false)", [str(path)]
        ).fetchnumpy()
    except duckdb.Error as error:
        if path.exists():
            raise OSError(f"{path}: {error}") from error
        raise FileNotFoundError(str(path)) from error
    return sorted_ids(found["id"].tolist(), np.asarray(found["source_offset"], np.int64), first)
