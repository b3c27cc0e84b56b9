"""The provider's own record: one JSON object a line, written before anybody is told, never changed.

Numbers are kept with their last two digits only. Read back at a start, so that the same key is the same call even after
this process was killed.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

FILE = "calls.jsonl"


def masked(number: str) -> str:
    """All but the last two digits as stars."""
    return "*" * max(0, len(number) - 2) + number[-2:]


class CallLog:
    """Append-only lines in ``directory``; each is in the operating system's hands when `write` returns."""

    def __init__(self, directory: Path, now: Callable[[], float]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._now = now
        self._path = directory / FILE
        self.lines: list[dict[str, Any]] = self._complete_lines()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.told: Callable[[dict[str, Any]], None] = lambda line: None

    def _complete_lines(self) -> list[dict[str, Any]]:
        """What an earlier process wrote; a last line it did not finish is cut off."""
        if not self._path.exists():
            return []
        whole = self._path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            os.truncate(self._path, end)
        return [msgspec.json.decode(line) for line in whole[:end].splitlines()]

    def write(self, event: str, **facts: Any) -> None:
        line = {"n": len(self.lines), "at": round(self._now(), 3), "event": event, **facts}
        os.write(self._file, msgspec.json.encode(line) + b"\n")
        self.lines.append(line)
        self.told(line)

    def close(self) -> None:
        os.close(self._file)
