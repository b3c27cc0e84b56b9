"""Tags: the bank's own words for kinds of customers, each a condition on what a customer did lately.

``config/tags.toml`` has a table for each: ``when`` says who gets it, ``leave`` who loses it again. Between the two a
customer keeps what they have, so that a tag does not come and go with every payment. Without ``leave`` it is lost
as soon as ``when`` no longer holds. Conditions are those of rules, over `customer_activity.Figures`.
"""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.customer_activity import Figures
from pipeline.core.expressions import Kind
from pipeline.core.rules import Rule, RuleError, compile_rule
from pipeline.core.tag_use import TAG_NAME
from pipeline.core.toml_text import FileError, TomlText

MAX_TAGS: Final = 32
"""A customer's row has a bit for each."""
MAX_FILE_CHARACTERS: Final = 100_000
MAX_MEANING: Final = 200
TAG_SCHEMA: Final[Mapping[str, Kind]] = MappingProxyType(dict.fromkeys(Figures._fields, "number"))
LANGUAGES: Final = ("en", "zh")


class TagError(FileError):
    """Why a file of tags is refused: ``file:line: what is wrong, what to do``."""


class Tag(NamedTuple):
    """``leave`` None: lost where ``when`` no longer holds. ``en``, ``zh``: what it means."""

    name: str
    when: Rule
    leave: Rule | None
    en: str
    zh: str


class Tags(NamedTuple):
    """All tags, in the order of the file; the n-th has bit n. ``version``: beginning of the file's SHA-256."""

    tags: tuple[Tag, ...]
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tag.name for tag in self.tags)

    def after(self, held: NDArray[np.uint32], figures: NDArray[np.float64]) -> NDArray[np.uint32]:
        """Which tags customers have now that had ``held``, uint32[n], a bit each; ``figures`` float64[n, columns as
        `Figures`]. A customer's tags do not depend on the others."""
        n = len(figures)
        columns = dict(zip(Figures._fields, np.ascontiguousarray(figures.T), strict=True))
        found = np.zeros(n, dtype=np.uint32)
        for number, tag in enumerate(self.tags):
            bit = np.uint32(1 << number)
            has = tag.when.hits(columns, n)
            if tag.leave is not None:
                has = has | (((held & bit) != 0) & ~tag.leave.hits(columns, n))
            found[has] |= bit
        return found

    def of(self, held: int) -> list[str]:
        """The names of the tags ``held``, a bit each."""
        return [tag.name for number, tag in enumerate(self.tags) if held >> number & 1]

    def bits(self, names: list[str]) -> int:
        """The tags of these ``names``; names there are no tags of count for nothing."""
        return sum(1 << number for number, tag in enumerate(self.tags) if tag.name in names)


NO_TAGS: Final = Tags((), "")


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    when: str
    en: str
    zh: str
    leave: str | None = None


def parse_tags(text: str, filename: str) -> Tags:
    """Read a file of tags. Raises `TagError`, and nothing else, whatever the text."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise TagError(f"{filename}:1: {len(text)} characters; a file of tags has at most {MAX_FILE_CHARACTERS}")
    file = TomlText(text, filename, TagError)
    for key in file.data:
        if key != "tag":
            file.fail(f"unknown entry {key[:80]!r}: a file of tags has [[tag]] tables only",
                      max(file.key(key), file.header(key), file.table(key, 0)))  # fmt: skip
    given = file.data.get("tag", [])
    if not isinstance(given, list):
        file.fail("tag is a list of tables: begin each with [[tag]]", max(file.key("tag"), file.header("tag")))
    if len(given) > MAX_TAGS:
        file.fail(f"{len(given)} tags; there may be at most {MAX_TAGS}", file.table("tag", MAX_TAGS))
    made: dict[str, Tag] = {}
    for index, table in enumerate(given):
        tag = _tag(file, file.table("tag", index), table)
        if tag.name in made:
            file.fail(
                f"a second tag named {tag.name}: give it its own name", file.key("name", file.table("tag", index))
            )
        made[tag.name] = tag
    return Tags(tuple(made.values()), hashlib.sha256(file.text.encode()).hexdigest()[:12])


def _tag(file: TomlText, line: int, given: object) -> Tag:
    try:
        table = msgspec.convert(given, _Table)
    except msgspec.ValidationError as error:
        words = str(error)
        named = re.search(r"field `(\w+)`", words) or re.search(r"at `\$\.(\w+)`", words)
        what = re.sub(r" - at `\$\.?(\w*)`", lambda at: f" ({at[1]})" if at[1] else "", words).replace("`", "")
        file.fail(f"[[tag]]: {what}; a tag has name, when, en and zh, and may have leave",
                  file.key(named[1], line) if named else line)  # fmt: skip
    if not TAG_NAME.fullmatch(table.name):
        file.fail(f"{table.name[:80]!r} is no name: a–z first, then a–z, 0–9, _ (at most 64)", file.key("name", line))
    for language in LANGUAGES:
        if not 0 < len(getattr(table, language).strip()) <= MAX_MEANING:
            file.fail(f"{table.name}: say in {language} what it means, in 1 to {MAX_MEANING} characters",
                      file.key(language, line))  # fmt: skip
    leave = None if table.leave is None else _condition(file, "leave", table.leave, line)
    return Tag(table.name, _condition(file, "when", table.when, line), leave, table.en, table.zh)


def _condition(file: TomlText, key: str, text: str, table: int) -> Rule:
    line = file.value(key, table)
    try:
        rule = compile_rule(text, TAG_SCHEMA)
    except RuleError as error:
        file.fail(f"{key}: {error.message}, at {error.piece!r}", line + error.line - 1)
    asked = sorted(rule.columns - TAG_SCHEMA.keys())
    if asked:
        file.fail(f"{key}: {asked[0]} asks about a transaction: tags speak of customers", line)
    return rule
