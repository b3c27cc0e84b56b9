"""Configuration files: read once, and looked at again for changes."""

from pathlib import Path


class WatchedFile:
    """A text file that may be edited while the program runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    def changed(self) -> bool:
        """Whether the file is another than at the last `read`. A file that is gone has not changed."""
        stamp = self._stamp()
        return stamp is not None and stamp != self._seen

    def read(self) -> tuple[str, str]:
        """Text and path. Raises OSError."""
        self._seen = self._stamp()
        return self.path.read_text(encoding="utf-8"), str(self.path)


class WatchedFolder:
    """The files of one ending in a folder, which may come, change and go while the program runs. No folder: no files."""

    def __init__(self, path: Path, ending: str) -> None:
        self._path = path
        self._ending = ending
        self._seen: dict[Path, tuple[int, int]] | None = None

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        stamps = {}
        for file in sorted(self._path.glob(f"*{self._ending}")):
            try:
                status = file.stat()
            except OSError:  # gone meanwhile
                continue
            stamps[file] = (status.st_mtime_ns, status.st_size)
        return stamps

    def changed(self) -> bool:
        """Whether files came, went or are others than at the last `read`."""
        return self._stamps() != self._seen

    def read(self) -> list[tuple[str, str, str]]:
        """Name without ending, text and path of each. Raises OSError or UnicodeError."""
        self._seen = self._stamps()
        return [(file.stem, file.read_text(encoding="utf-8"), str(file)) for file in self._seen]
