"""The bank's own counters: ``count per card over 10m where entry_mode = 'ecommerce' and response_code <> '00'``.

What a policy's ``[counters]`` say, read once. A counter counts a card's attempts (authorisations, advices, clearings
without an original; see `profile`), this one included, whose ``where`` is TRUE; the condition is of the rule language
but may look at the transaction's own fields only. Everything else about a card comes out of its row, which these
counters are part of, and what is not the card's (scores, lists, the clock) may not enter a row at all: it could not be
rebuilt by replay.

The window ends at the newest attempt of the card and moves by buckets: it always holds the whole window, and at most one
bucket more. `counter_slots` describes how that lies in the row's spare bytes.
"""

import re
import struct
from collections.abc import Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from pipeline.core.columns import AMOUNT, TRANSACTION_SCHEMA
from pipeline.core.counter_matching import Matcher, Matches
from pipeline.core.counter_slots import CELLS, MOST, SLOTS, TWO_SLOTS, Slot, rearranged
from pipeline.core.profile_row import RING, SPARE
from pipeline.core.rule_error import MAX_PIECE, RuleError, refuse
from pipeline.core.rules import Rule, Schema, compile_rule
from pipeline.core.transaction import Event

Floats = NDArray[np.float64]

FUNCTIONS: Final = ("count", "sum", "max", "distinct")
"""Their numbers are those of `counter_slots`."""
UNITS_S: Final = MappingProxyType({"m": 60, "h": 3_600, "d": 86_400})
MAX_WINDOW_S: Final = 31 * 86_400
MAX_CHARACTERS: Final = 1_000
DISTINCT_COLUMNS: Final = ("merchant", "terminal", "mcc", "country", "city", "currency")
PER: Final = ("card", "merchant", "customer")

_FORM = re.compile(
    r"\s*(?P<function>[a-z]+)\s*(?:\(\s*(?P<column>\w*|\*)\s*\))?"
    r"\s+per\s+(?P<key>\w+)\s+over\s+(?P<length>\d{1,6})\s*(?P<unit>[a-z]+)\s*(?:\swhere\s(?P<where>.*))?",
    re.DOTALL | re.IGNORECASE,
)
_SLOT = struct.Struct("<HBB4xd")
_HOW = "write it as in: count per card over 10m where entry_mode = 'ecommerce'"


class Counter(NamedTuple):
    """One counter. ``column``: what is summed or compared (amount), or told apart; ``where``: what counts (None: every
    attempt); ``tag``: the fingerprint of all this, but not of the name, by which rows know it; ``per``: one of `PER`. Those
    not per card are in no row: see `entity_counters`."""

    name: str
    text: str
    function: str
    column: str | None
    window_s: int
    where: Rule | None
    tag: int
    per: str = "card"

    @property
    def number(self) -> int:
        return FUNCTIONS.index(self.function)

    @property
    def slots(self) -> int:
        return CELLS[self.number].slots

    @property
    def fingerprint(self) -> str:
        """Of what is counted, but not of the name; wider than `tag`: the archive knows counters of years by it."""
        text = _described(
            self.function, self.column or "", self.window_s, None if self.where is None else self.where.text
        )
        per = "" if self.per == "card" else f"{self.per} "
        return blake2b(f"{per}{text}".encode(), digest_size=8).hexdigest()

    @property
    def bucket_s(self) -> float:
        """How long a bucket is: what a window may hold too much."""
        return self.window_s / (CELLS[self.number].number - 1)


def parse_counter(name: str, text: str, known: Sequence[str] = ()) -> Counter:
    """Read one definition. ``known``: columns of rules, to tell which of them a counter may not look at. Raises
    `RuleError`."""
    if len(text) > MAX_CHARACTERS:
        refuse(text, MAX_CHARACTERS, len(text), f"longer than {MAX_CHARACTERS} characters: shorten the condition")
    form = _FORM.fullmatch(text)
    if form is None:
        raise RuleError(f"no counter: {_HOW}", 1, 1, text[:MAX_PIECE])

    def wrong(group: str, message: str) -> NoReturn:
        refuse(text, *form.span(group), message)

    function, column = form["function"].lower(), (form["column"] or "").lower()
    if function not in FUNCTIONS:
        wrong("function", f"no such function of counters: there are {', '.join(FUNCTIONS)}")
    if function == "count" and column not in ("", "*"):
        wrong("column", "count takes no column: write count per card over …, or distinct(…)")
    if function in ("sum", "max") and column != AMOUNT:
        wrong("function" if not column else "column", f"{function} is of the amount: write {function}(amount)")
    per = form["key"].lower()
    if per not in PER:
        wrong("key", "counters are `per card`, `per merchant` or `per customer`, nothing else")
    told_apart = [each for each in (*DISTINCT_COLUMNS, *(PER if per != "card" else ())) if each != per]
    if function == "distinct" and column not in told_apart:
        wrong("function" if not column else "column", f"distinct is of one of {', '.join(dict.fromkeys(told_apart))}")
    unit = UNITS_S.get(form["unit"].lower())
    if unit is None:
        wrong("unit", "windows are in minutes, hours or days: 10m, 24h, 7d")
    window_s = int(form["length"]) * unit
    if not 0 < window_s <= MAX_WINDOW_S:
        wrong("length", f"a window is from 1m to {MAX_WINDOW_S // 86_400}d long")
    where = None if form["where"] is None else _condition(text, form.start("where"), form["where"], known)
    own = column if function != "count" else ""
    tag = _tag(function, own, window_s, form["where"])
    return Counter(name, text, function, own or None, window_s, where, tag, per)


def _condition(text: str, start: int, where: str, known: Sequence[str]) -> Rule:
    for word in re.findall(r"\w+", re.sub(r"'[^']*'", "", where)):
        if (word.lower() in known and word.lower() not in TRANSACTION_SCHEMA) or word.lower() in (
            "in_list",
            "has_tag",
        ):
            at = re.search(rf"\b{word}\b", where)
            place = start + (at.start() if at else 0)
            refuse(text, place, place + len(word), "a counter's condition looks at the transaction's own fields only "
                   "(a row may not depend on scores, features, lists or tags): use this in the rule instead")  # fmt: skip
    try:
        return compile_rule(where, TRANSACTION_SCHEMA)
    except RuleError as error:
        before = text[:start]
        line = before.count("\n") + error.line
        column = error.column + (start - before.rfind("\n") - 1 if error.line == 1 else 0)
        raise RuleError(error.message, line, column, error.piece) from None


def _tag(function: str, column: str, window_s: int, where: str | None) -> int:
    """Fifteen bits of what is counted, blanks and capitals outside quotes apart, and one for the number of slots."""
    text = _described(function, column, window_s, where)
    digest = int.from_bytes(blake2b(text.encode(), digest_size=2).digest(), "little") % TWO_SLOTS
    return max(digest, 1) | (TWO_SLOTS if CELLS[FUNCTIONS.index(function)].slots == 2 else 0)


def _described(function: str, column: str, window_s: int, where: str | None) -> str:
    """What is counted, in one way of writing it."""
    parts = (where or "").split("'")
    parts[::2] = [re.sub(r"\s+", " ", part).lower() for part in parts[::2]]
    condition = "'".join(parts).strip()
    return f"{function}({column}) {window_s} {condition}"


class Counters:
    """A policy's counters. ``slots``: where they lie in a row; ``packed``: the same for the compiled form; ``begun``: the
    spare bytes of a card that nothing came before; ``layout``: fingerprint of names, definitions and order, empty
    without counters; ``fingerprints``: name → what is counted, in the policy's order. Raises ValueError for more slots than a row has."""

    def __init__(self, counters: Sequence[Counter] = ()) -> None:
        self.each = tuple(counters)
        self.names = tuple(counter.name for counter in counters)
        places = [sum(counter.slots for counter in counters[:number]) for number in range(len(counters))]
        self.slots = tuple(
            Slot(counter.tag, place, counter.number, counter.bucket_s)
            for counter, place in zip(counters, places, strict=True)
        )
        if sum(counter.slots for counter in counters) > SLOTS:
            raise ValueError(f"a card's row has {SLOTS} slots for counters")
        self.packed = b"".join(_SLOT.pack(*slot) for slot in self.slots)
        self.begun = rearranged(bytes(RING - SPARE), self.slots, known=True)
        described = repr([(counter.name, counter.tag, counter.text) for counter in counters])
        self.layout = blake2b(described.encode(), digest_size=8).hexdigest() if counters else ""
        self.fingerprints = {counter.name: counter.fingerprint for counter in counters}
        self._matcher = Matcher([each.where for each in counters],
                                {bit: str(each.column) for bit, each in enumerate(counters) if each.function == "distinct"})  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.each)

    def matches(self, events: Sequence[Event]) -> Matches:
        """What counts for which counter. A transaction's own fields decide; nothing of a row is looked at."""
        return self._matcher.matches(events)


class Counting(NamedTuple):
    """What advancing a part of a poll needs for its counters. ``values`` float64[n, C] is filled as the rows are."""

    counters: Counters
    matches: Matches
    values: Floats


NO_COUNTERS: Final = Counters()


def explain(counters: Counters) -> list[str]:
    """A sentence for each counter: how exact it is and what it takes of a row."""
    return [
        f"{counter.name}: the last {long(counter.window_s)}, and up to {long(counter.bucket_s)} more; "
        f"{_EXACTNESS[counter.function]}; takes {counter.slots} of {SLOTS} slots; on a card known before, its first value "
        f"comes {long(counter.window_s)} to {long(counter.window_s + counter.bucket_s)} after it is put in force"
        for counter in counters.each
    ]


_EXACTNESS: Final = MappingProxyType({
    "count": f"exact, up to {MOST} in each {CELLS[0].number - 1}th of that",
    "sum": "to about 0.001 % for each transaction",
    "max": "to about 0.001 %",
    "distinct": "about: nine times in ten 5 are told to within 1, 12 to within 3",
})  # fmt: skip


def exactness(function: str) -> str:
    """How exact a counter per merchant or customer is: whole numbers in all but distinct, which is as in a row."""
    return _EXACTNESS[function] if function == "distinct" else "exact"


def long(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length and seconds * 100 % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def with_counters(schema: Schema, names: Sequence[str]) -> Schema:
    """The columns rules may speak of, beside the counters of these ``names``."""
    return {**schema, **dict.fromkeys(names, "number")} if names else schema
