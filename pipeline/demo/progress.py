"""How far the preparation is: a small file that one process writes and another reads."""

from pathlib import Path

import msgspec


class Progress(msgspec.Struct):
    """``share`` of the history that is scored, 0–1. ``done``: rows and model are where the roles find them."""

    share: float
    transactions: int
    cards: int = 0
    done: bool = False

    def write(self, path: Path) -> None:
        """Who reads the file sees it whole."""
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(self))
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Progress":
        return msgspec.json.decode(path.read_bytes(), type=cls) if path.exists() else cls(0.0, 0)
