"""A TOML text that knows its lines: whoever finds a mistake in a table can say ``file:line: what is wrong, what to do``.

TOML parsers tell the line of a syntax error only; the places of tables and keys are found by looking at the text.
"""

import re
import tomllib
from typing import Any, NoReturn


class FileError(ValueError):
    """``file:line: what is wrong, what to do``."""


class TomlText:
    """A parsed text. ``data``: its tables. Raises ``error``, a kind of `FileError`, if it is not TOML."""

    def __init__(self, text: str, filename: str, error: type[FileError]) -> None:
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        self._filename = filename
        self._error = error
        self._lines = self.text.split("\n")
        try:
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as broken:
            place = re.search(r" \(at line (\d+), column \d+\)", str(broken))
            what = re.sub(r" \(at .*\)$", "", str(broken))
            line = int(place[1]) if place else len(self._lines)
            raise error(f"{filename}:{line}: not valid TOML: {what}; correct the syntax here") from None
        except RecursionError:
            raise error(f"{filename}:1: not valid TOML: too deeply nested") from None

    def fail(self, message: str, line: int = 1) -> NoReturn:
        raise self._error(f"{self.place(line)}: {message}")

    def place(self, line: int) -> str:
        return f"{self._filename}:{line}"

    def table(self, name: str, index: int) -> int:
        """The line of the ``index``-th ``[[name]]`` (from 0); 1 when it was written in another form."""
        header = re.compile(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]\s*(#.*)?")
        lines = [number for number, line in self._outside_strings() if header.fullmatch(line)]
        return lines[index] if index < len(lines) else 1

    def header(self, name: str) -> int:
        """The line of ``[name]``; 0 when it was written in another form."""
        header = re.compile(rf"\s*\[\s*{re.escape(name)}\s*\]\s*(#.*)?")
        return next((number for number, line in self._outside_strings() if header.fullmatch(line)), 0)

    def key(self, name: str, after: int = 0) -> int:
        """The line of ``name = …``, within the table whose header stands on line ``after`` (0: the top of the file);
        ``after`` itself when it is not there."""
        assignment = re.compile(rf"\s*\"?{re.escape(name)}\"?\s*=")
        for number, line in self._outside_strings():
            if number > after and re.match(r"\s*\[", line):
                break
            if number > after and assignment.match(line):
                return number
        return max(after, 1)

    def value(self, name: str, after: int = 0) -> int:
        """The line on which the text given to ``name`` begins: the next one where it opens with three quotes."""
        line = self.key(name, after)
        return line + 1 if re.search(r"=\s*(\"\"\"|''')\s*$", self._lines[line - 1]) else line

    def _outside_strings(self) -> list[tuple[int, str]]:
        """The lines that do not begin within a text of several lines, numbered from 1."""
        found = []
        fence = ""
        for number, line in enumerate(self._lines, 1):
            if not fence:
                found.append((number, line))
            for quotes in re.findall(r'"""|\'\'\'', line):
                if not fence:
                    fence = quotes
                elif quotes == fence:
                    fence = ""
        return found
