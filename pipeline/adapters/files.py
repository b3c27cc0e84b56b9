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
