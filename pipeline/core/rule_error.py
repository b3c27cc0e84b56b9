"""How a rule is refused: what is wrong, and where in its text."""

from typing import NoReturn

MAX_PIECE = 60
"""Characters of the offending part repeated in a message."""


class RuleError(Exception):
    """Why a rule is refused. ``line`` and ``column`` count from 1; ``piece`` is the offending part of its text."""

    def __init__(self, message: str, line: int, column: int, piece: str) -> None:
        super().__init__(message, line, column, piece)
        self.message = message
        self.line = line
        self.column = column
        self.piece = piece

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}, at {self.piece!r}: {self.message}"


def refuse(text: str, start: int, end: int, message: str) -> NoReturn:
    """Raise `RuleError` about ``text[start:end]``."""
    line = text.count("\n", 0, start) + 1
    piece = text[start:end]
    raise RuleError(
        message, line, start - text.rfind("\n", 0, start), piece if len(piece) <= MAX_PIECE else piece[:MAX_PIECE] + "…"
    )
