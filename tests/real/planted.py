"""Card and phone numbers to plant, in every way people write them, and how to find them again in anything."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

ISSUED = (
    ("453212", 16), ("453978", 13), ("491748", 19), ("520474", 16), ("222300", 16), ("374245", 15), ("622126", 16),
    ("623094", 19), ("356600", 16), ("601109", 16), ("305693", 14), ("675964", 16), ("220070", 16), ("607480", 16),
)  # fmt: skip
"""First digits and length of cards of many issuers."""
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def _with_check_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def card_number(kind: int, serial: int) -> str:
    """A Luhn-valid number of the ``kind``-th issuer; each ``serial`` another."""
    prefix, length = ISSUED[kind % len(ISSUED)]
    free = length - len(prefix) - 1
    return _with_check_digit(prefix + str(serial * 7_919 + 1_234_567).zfill(free)[-free:])


def grouped(number: str, separator: str) -> str:
    return separator.join(number[start : start + 4] for start in range(0, len(number), 4))


def forms(number: str) -> Iterator[tuple[str, str]]:
    """Name and text of each way to write ``number``."""
    yield "plain", number
    yield "spaces", grouped(number, " ")
    yield "dashes", grouped(number, "-")
    yield "mixed", grouped(number, " - ")
    yield "no-break spaces", grouped(number, "\u00a0")
    yield "full width", number.translate(FULL_WIDTH)
    yield "full width, spaced", grouped(number.translate(FULL_WIDTH), " ")
    yield "in words", f"card {number}, thank you"


def escaped(text: str) -> str:
    """``text`` for the inside of a JSON string, every character as an escape."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


def digits_of(text: str) -> str:
    """All digits of ``text`` and nothing between them: a number in it is found whatever separates its digits. JSON
    escapes are read, full-width and other scripts' digits are made plain."""
    read = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"\D", "", unicodedata.normalize("NFKC", read), flags=re.ASCII)


class Places:
    """Everything that was written, by the place where it was found."""

    def __init__(self) -> None:
        self.digits: dict[str, str] = {}
        self.bytes = 0

    def add(self, place: str, content: object) -> None:
        """``content``: bytes, text, or a list, tuple, dict or set of such."""
        text = _text(content)
        self.bytes += len(text)
        self.digits[place] = self.digits.get(place, "") + "x" + digits_of(text)

    def holding(self, numbers: set[str]) -> dict[str, list[str]]:
        """Place → which of ``numbers`` (plain digits) are in it."""
        pattern = re.compile("|".join(sorted(numbers, key=len, reverse=True)))
        found = {place: sorted(set(pattern.findall(digits))) for place, digits in self.digits.items()}
        return {place: numbers for place, numbers in found.items() if numbers}


def _text(content: Any) -> str:
    if isinstance(content, bytes):
        return content.decode("utf-8", "ignore")
    if isinstance(content, dict):
        return "\n".join(f"{_text(name)}\n{_text(value)}" for name, value in content.items())
    if isinstance(content, list | tuple | set):
        return "\n".join(_text(each) for each in content)
    return str(content)
