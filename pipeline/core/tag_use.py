"""A rule's asking for a tag of the transaction's customer: ``has_tag('frequent')``."""

import re
from typing import Final, NamedTuple

TAG_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
TAGS_COLUMN: Final = "tags"
"""In the archive: the names of the customer's tags, with blanks between; missing where no customer was given."""
_USE: Final = re.compile(r"has_tag\('(\w+)'\)")


class TagUse(NamedTuple):
    """Whether the customer has the tag ``name``; missing where no customer was given."""

    name: str

    def __str__(self) -> str:
        return f"has_tag('{self.name}')"

    def sql(self) -> str:
        """The same question for DuckDB, of the archive's column `TAGS_COLUMN`."""
        has = f"list_contains(string_split({TAGS_COLUMN}, ' '), '{self.name}')"
        return f"(CASE WHEN {TAGS_COLUMN} IS NOT NULL THEN {has} END)"

    def of(self, tags: str | None) -> float:
        """The same of one archived transaction: 1, 0, or NaN."""
        return float("nan") if tags is None else float(self.name in tags.split(" "))


def tag_use(column: str) -> TagUse | None:
    """What a rule's column stands for, when it is the question of a tag."""
    found = _USE.fullmatch(column)
    return TagUse(found[1]) if found else None
