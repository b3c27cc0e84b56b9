"""The bank's own lists: ``in_list(merchant, 'hot')`` in a rule, ``lists/hot.toml`` in the configuration.

A list says which column its values are of, and holds each value with the time until which it counts: the event's own
time decides, so that a decision made again comes out the same. Cards are listed by a digest of their token, not by the
token; a clear card number is refused wherever it stands. A file that is wrong in any part is refused as a whole.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from json import dumps
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.masking import holds_card_number
from pipeline.core.toml_text import FileError, TomlText
from pipeline.core.transaction import Event

LIST_COLUMNS: Final = ("merchant", "terminal", "mcc", "country", "card", "customer")
MAX_ENTRIES: Final = 100_000
"""Of all lists together."""
MAX_LISTS: Final = 50
MAX_FILE_CHARACTERS: Final = 12_000_000
MAX_VALUE: Final = 128
ALWAYS: Final = "always"
LIST_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

_FORMS: Final = {
    "mcc": (re.compile(r"\d{4}", re.ASCII), "a category is four digits"),
    "country": (re.compile(r"[A-Z]{2}"), "a country is two capital letters (ISO 3166 alpha-2)"),
    "card": (
        re.compile(r"[0-9a-f]{64}"),
        "a card is listed by the SHA-256 of its token, 64 hexadecimal digits: printf %s TOKEN | sha256sum",
    ),
}
_USE = re.compile(r"in_list\((\w+), '(\w+)'\)")


class ListError(FileError):
    """Why a list is refused: ``file:line: what is wrong, what to do``."""


class BankList(NamedTuple):
    """One list. ``until``: value → unix seconds from which it counts no more, infinity: never."""

    name: str
    column: str
    until: Mapping[str, float]
    digest: str


class ListUse(NamedTuple):
    """A rule's asking whether ``column`` is in the list named ``name``."""

    column: str
    name: str

    def __str__(self) -> str:
        return f"in_list({self.column}, '{self.name}')"

    def sql(self) -> str:
        """The same question for DuckDB. It needs a table ``list_entries`` (list VARCHAR, value VARCHAR, until DOUBLE:
        unix seconds, infinity for always; `Lists.rows`), and beside the rule's columns ``at``, the event's unix
        seconds."""
        value = f"sha256({self.column})" if self.column == "card" else self.column
        return (
            f"(CASE WHEN {self.column} IS NOT NULL THEN EXISTS (SELECT 1 FROM list_entries "  # noqa: S608 - both names are from allow-lists
            f"WHERE list_entries.list = '{self.name}' AND list_entries.value = {value} AND \"at\" < list_entries.until) END)"
        )


def list_use(column: str) -> ListUse | None:
    """What a rule's column stands for, when it is the question of a list."""
    found = _USE.fullmatch(column)
    return ListUse(found[1], found[2]) if found else None


def listed_as(value: str, column: str) -> str:
    """How ``value`` stands in a list of ``column``."""
    return sha256(value.encode()).hexdigest() if column == "card" else value


class Lists:
    """All lists there are. Raises `ListError` where they are too many, or hold too much, together."""

    def __init__(self, lists: Iterable[BankList] = ()) -> None:
        self.by_name = {each.name: each for each in lists}
        entries = sum(len(each.until) for each in self.by_name.values())
        if len(self.by_name) > MAX_LISTS:
            raise ListError(f"lists:1: {len(self.by_name)} lists; there may be at most {MAX_LISTS}: join some")
        if entries > MAX_ENTRIES:
            sizes = ", ".join(f"{each.name} {len(each.until)}" for each in self.by_name.values())
            raise ListError(f"lists:1: {entries} entries in all lists together ({sizes}); at most {MAX_ENTRIES}: remove "
                            "those whose time is over")  # fmt: skip

    def version(self, names: Iterable[str]) -> str:
        """Fingerprint of the lists named, twelve hexadecimal digits. Raises KeyError for one that is not there."""
        parts = repr([(name, self.by_name[name].digest) for name in sorted(set(names))])
        return blake2b(parts.encode(), digest_size=6).hexdigest()

    def holds(self, use: ListUse, events: Sequence[Event]) -> NDArray[np.float64]:
        """float64[n]: 1 where the event's value is listed and its time not over, else 0; NaN where it has no value.
        Raises LookupError for a list that is not there or is of another column."""
        return self.hold(use, ((getattr(event.transaction, use.column), event.at) for event in events), len(events))

    def hold(self, use: ListUse, past: Iterable[tuple[str | None, float]], n: int) -> NDArray[np.float64]:
        """The same of ``n`` transactions of which only the list's column and the event's time are at hand."""
        found = self.by_name.get(use.name)
        if found is None or found.column != use.column:
            raise LookupError(self.unmet(use))
        until, column = found.until, use.column
        answers = np.empty(n)
        for place, (value, at) in enumerate(past):
            answers[place] = math.nan if value is None else at < until.get(listed_as(value, column), -math.inf)
        return answers

    def unmet(self, use: ListUse) -> str | None:
        """Why ``use`` can't be answered, None: it can."""
        found = self.by_name.get(use.name)
        if found is None:
            there = ", ".join(sorted(self.by_name)) or "none"
            return f"{use}: there is no such list (there are: {there}): put lists/{use.name}.toml in place first"
        if found.column != use.column:
            return f"{use}: this list is of {found.column}: write in_list({found.column}, '{use.name}')"
        return None

    def rows(self) -> Iterator[tuple[str, str, float]]:
        """List, value and time of every entry: what DuckDB's table of them holds (see `ListUse.sql`)."""
        for each in self.by_name.values():
            for value, until in each.until.items():
                yield each.name, value, until


NO_LISTS: Final = Lists()


def parse_list(name: str, text: str, filename: str) -> BankList:
    """Read one list; it is named after its file. Raises `ListError`, and nothing else, whatever the text. No value is
    repeated in a message: it may be what must not be written anywhere."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise ListError(f"{filename}:1: {len(text)} characters; a list has at most {MAX_FILE_CHARACTERS}")
    file = TomlText(text, filename, ListError)
    if not LIST_NAME.fullmatch(name):
        file.fail("a list is named after its file: a–z first, then a–z, 0–9, _ (at most 64), as in hot_merchants.toml")
    for key in file.data:
        if key not in ("column", "entries"):
            file.fail(f"unknown entry {key[:MAX_VALUE]!r}: a list has column and [entries]",
                      max(file.key(key), file.header(key)))  # fmt: skip
    column = file.data.get("column")
    if column not in LIST_COLUMNS:
        file.fail(f'write column = "…" before [entries]: one of {", ".join(LIST_COLUMNS)}', file.key("column"))
    entries = file.data.get("entries", {})
    if not isinstance(entries, dict):
        file.fail("entries is a table: begin it with [entries]", file.key("entries"))
    if len(entries) > MAX_ENTRIES:
        file.fail(f"{len(entries)} entries; all lists together have at most {MAX_ENTRIES}")
    until = {}
    for value, given in entries.items():
        wrong = _wrong_value(value, column)
        if wrong is None and (time := _time(given)) is not None:
            until[value] = time
        else:
            file.fail(wrong or f'"{ALWAYS}", or a time with zone as in 2026-12-31T00:00:00Z, stands behind each value',
                      file.key(value, file.header("entries")))  # fmt: skip
    described = repr((column, sorted(until.items())))
    return BankList(name, column, until, blake2b(described.encode(), digest_size=16).hexdigest())


def list_text(column: str, until: Mapping[str, float]) -> str:
    """The file of a list of ``column``: what `parse_list` reads as these entries, values as `listed_as` gives them."""
    lines = [f'column = "{column}"', "", "[entries]"]
    for value, end in sorted(until.items()):
        word = f'"{ALWAYS}"' if end == math.inf else datetime.fromtimestamp(end, UTC).isoformat().replace("+00:00", "Z")
        lines.append(f"{dumps(value)} = {word}")
    return "\n".join(lines) + "\n"


def _wrong_value(value: str, column: str) -> str | None:
    if not 0 < len(value) <= MAX_VALUE:
        return f"a value has 1 to {MAX_VALUE} characters"
    form = _FORMS.get(column)
    if form is not None:
        return None if form[0].fullmatch(value) else form[1]
    return "this is a clear card number: remove it" if holds_card_number(value) else None


def _time(given: object) -> float | None:
    if given == ALWAYS:
        return math.inf
    if isinstance(given, datetime) and given.tzinfo is not None:
        return given.timestamp()
    return None
