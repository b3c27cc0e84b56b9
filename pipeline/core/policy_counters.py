"""The ``[counters]`` of a policy file: names and definitions to `Counters`, or why not, with the line."""

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.core.counter_slots import SLOTS
from pipeline.core.counters import Counter, Counters, parse_counter
from pipeline.core.entity_counters import MOST, EntityCounters, definition_of
from pipeline.core.rules import RuleError, Schema, compile_rule
from pipeline.core.toml_text import TomlText

_OF_DUCKDB: Final = frozenset(
    [
        "all",
        "analyse",
        "anti",
        "array",
        "asc",
        "asof",
        "asymmetric",
        "at",
        "authorization",
        "binary",
        "both",
        "by",
        "cast",
        "check",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "default",
        "deferrable",
        "do",
        "end",
        "foreign",
        "freeze",
        "full",
        "group",
        "in",
        "initially",
        "is",
        "isnull",
        "lambda",
        "leading",
        "left",
        "limit",
        "natural",
        "offset",
        "order",
        "overlaps",
        "pivot_longer",
        "placing",
        "primary",
        "references",
        "right",
        "semi",
        "similar",
        "some",
        "symmetric",
        "table",
        "to",
        "trailing",
        "unique",
        "unpack",
        "variadic",
        "verbose",
        "window",
    ]
)
"""Words that the rule language would take for a column, and DuckDB, which asks the archive by the same rules, does not."""


def read_counters(
    file: TomlText, schema: Schema, check_name: Callable[[str, int], None]
) -> tuple[Counters, EntityCounters]:
    """Those per card, and those per merchant and customer. ``schema``: the columns there are beside; ``check_name`` refuses what is no name. Raises the file's error."""
    given, header = file.data.get("counters", {}), file.header("counters")
    if not isinstance(given, dict):
        file.fail("counters is a table: begin it with [counters]", file.key("counters"))
    made: list[Counter] = []
    others: list[Counter] = []
    for name, text in given.items():
        place = file.key(name, header)
        check_name(name, place)
        _check_free(file, schema, name, place)
        if not isinstance(text, str):
            file.fail(f'{name}: write a text, as in {name} = "count per card over 10m"', place)
        try:
            counter = parse_counter(name, text, tuple(schema))
        except RuleError as error:
            file.fail(f"{name}: {error.message}, at {error.piece!r}", file.value(name, header) + error.line - 1)
        if counter.per != "card":
            _add_entity_counter(file, others, counter, place)
            continue
        for other in made:
            if other.tag == counter.tag:
                file.fail(
                    f"{name}: the same as {other.name}, or a row could not tell them apart: keep one of them, or write "
                    "its condition in other words",
                    place,
                )
        made.append(counter)
        if sum(each.slots for each in made) > SLOTS:
            file.fail(f"{name}: {_no_room(made)}", place)
    return Counters(made), EntityCounters(others)


def _add_entity_counter(file: TomlText, made: list[Counter], counter: Counter, place: int) -> None:
    for other in made:
        if definition_of(other) == definition_of(counter):
            file.fail(f"{counter.name}: the same as {other.name}: keep one of them", place)
    made.append(counter)
    if len(made) > MOST:
        file.fail(f"{counter.name}: a policy has at most {MOST} counters per merchant and per customer", place)


def _check_free(file: TomlText, schema: Schema, name: str, place: int) -> None:
    if name in schema:
        file.fail(f"a counter may not be named {name}: there is a column of that name", place)
    if name in _OF_DUCKDB or not _is_column(name):
        file.fail(f"a counter may not be named {name}: the word means something in SQL", place)


def _is_column(name: str) -> bool:
    try:
        compile_rule(f"{name} > 0", {name: "number"})
    except RuleError:
        return False
    return True


def _no_room(counters: Sequence[Counter]) -> str:
    """Why the last of them finds no slots."""
    *others, last = counters
    held = ", ".join(f"{each.name} {each.slots}" for each in others)
    free = SLOTS - sum(each.slots for each in others)
    return (
        f"needs {last.slots} of a card row's {SLOTS} slots, {free} are free ({held}): remove a counter "
        "(count takes one slot, sum, max and distinct two)"
    )
