"""The archive's folders on disk: which files there are, and how one comes to be there whole or not at all."""

import fcntl
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from pipeline.core.archive_files import UNFINISHED, Kind, Piece, folder_day, piece, that_count
from pipeline.ports_archive import ArchiveBusy

_LOCK = ".writer"


def days_of(root: Path, kind: Kind) -> Iterator[tuple[date, Path]]:
    """The days there are, in no order, with their folders."""
    folder = root / kind
    if folder.is_dir():
        for entry in folder.iterdir():
            day = folder_day(entry.name)
            if day is not None:
                yield day, entry


def pieces_of(root: Path, kind: Kind, first: date = date.min, last: date = date.max) -> list[Piece]:
    """Every finished file of the days from ``first`` to ``last``, those that no longer count too."""
    found: list[Piece] = []
    for day, folder in days_of(root, kind):
        if first <= day <= last:
            found.extend(each for name in _names(folder) if (each := piece(day, name)) is not None)
    return found


def paths_that_count(root: Path, kind: Kind, first: date = date.min, last: date = date.max) -> list[str]:
    """The files to read, partition by partition in the order of their offsets."""
    return [str(path_of(root, kind, each)) for each in that_count(pieces_of(root, kind, first, last))]


def path_of(root: Path, kind: Kind, each: Piece) -> Path:
    return root / kind / each.folder / each.name


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # deleted since it was listed: too old to be kept
        return []


def unfinished(path: Path) -> Path:
    """What ``path`` is called while it is written."""
    return path.with_name(path.name + UNFINISHED)


def remove_unfinished(root: Path, kind: Kind) -> None:
    for _, folder in days_of(root, kind):
        for name in _names(folder):
            if name.endswith(UNFINISHED):
                (folder / name).unlink()


def publish(path: Path) -> None:
    """Give what was written under `unfinished` its name, when all of it is on disk: after a power cut either the whole
    file is there or none, and no later one without it."""
    written = unfinished(path)
    _flush(written)
    written.replace(path)
    _flush(path.parent)


def remove(path: Path) -> None:
    """Remove a file of rows, what lies beside it first."""
    for beside in path.parent.glob(path.name + ".*"):
        beside.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _flush(folder.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class WriterLock:
    """Held by the archive's one writer, for as long as its process lives: the system takes it from the dead."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> None:
        """Raises `ArchiveBusy` while another process has it."""
        if self._descriptor is not None:
            return
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ArchiveBusy(f"{self._root}: another process writes to this archive") from None
        self._descriptor = descriptor

    def leave(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
