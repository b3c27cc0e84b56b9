"""The reminders' plan: at which stage of a bill a customer is told what, read from one TOML file.

``[[product]]`` holds the terms by which days past due are counted, ``[[stage]]`` one thing to tell at one day of a bill's
life, ``[[skip]]`` when a stage is left out and under which reason. Conditions are those of rules, over `ACCOUNT_SCHEMA`, and
``has_tag('vip')`` asks for a tag of the customer. A file that is wrong in any part is refused as a whole.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

import msgspec

from pipeline.core.account_event import Product
from pipeline.core.account_facts import DEFAULT_TERMS, Terms
from pipeline.core.contact_hours import Almanac, clock_minutes
from pipeline.core.contact_policy import CHANNELS
from pipeline.core.conversation import Channel
from pipeline.core.notices import TOGETHER, NoticeRules
from pipeline.core.reminder_stages import (
    ACCOUNT_SCHEMA,
    PRODUCTS,
    OnHoliday,
    Promises,
    ReminderClass,
    ReminderPolicy,
    Skip,
    SpreadPlan,
    Stage,
    Thanks,
)
from pipeline.core.requests import TEMPLATES
from pipeline.core.rules import Rule, RuleError, compile_rule
from pipeline.core.tag_use import tag_use
from pipeline.core.texts_rules import RULES
from pipeline.core.toml_text import FileError, TomlText

__all__ = ["ReminderError", "ReminderPolicy", "Skip", "SpreadPlan", "Stage", "read_reminders"]

MAX_FILE_CHARACTERS: Final = 200_000
MAX_STAGES: Final = 50
MAX_SKIPS: Final = 50
MAX_DAY: Final = 400
"""Days before or after a due date that a stage may stand at."""
MAX_DAYS: Final = 60
"""Of grace, of posting and of a promise."""
MAX_WORTH_HOURS: Final = 7 * 24
MAX_PER_HOUR: Final = 100_000_000
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,15}")
RESERVED: Final = ("heard", "broken", "returned", "thanks")
"""No stage's name begins so: these marks are left by others."""
REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ReminderError(FileError):
    """Why a plan of reminders is refused: ``file:line: what is wrong, what to do``."""


class _ProductTable(msgspec.Struct, forbid_unknown_fields=True):
    name: Product
    tolerance: int
    grace_days: int
    posting_grace_days: int
    pending_days: int = DEFAULT_TERMS.pending_days


class _StageTable(msgspec.Struct, forbid_unknown_fields=True, rename={"class_": "class"}):
    name: str
    day: int
    until_day: int
    class_: ReminderClass
    template: str
    products: tuple[Product, ...] = PRODUCTS
    at: str = "10:00"
    channels: list[Channel] = []
    on_holiday: OnHoliday = "keep"
    when: str | None = None


class _SkipTable(msgspec.Struct, forbid_unknown_fields=True):
    reason: str
    when: str
    stages: list[str] = []


class _ThanksTable(msgspec.Struct, forbid_unknown_fields=True):
    send: bool = True
    channels: list[Channel] = []


class _PromiseTable(msgspec.Struct, forbid_unknown_fields=True):
    days: int = 3
    max_days: int = 14
    remind: bool = True


class _SpreadTable(msgspec.Struct, forbid_unknown_fields=True):
    start: str = "09:00"
    end: str = "20:00"
    per_hour: dict[str, int] = {}


_Table = TypeVar(
    "_Table", _ProductTable, _StageTable, _SkipTable, _ThanksTable, _PromiseTable, _SpreadTable, NoticeRules
)
_LISTS: Final = {"product": len(PRODUCTS), "stage": MAX_STAGES, "skip": MAX_SKIPS}
_SINGLES: Final = ("thanks", "promise", "spread", "notices")
_TEXTS: Final = ("name", "zone", "calendar")


def read_reminders(
    text: str, path: str, almanac: Almanac | None = None, known_tags: Collection[str] | None = None
) -> ReminderPolicy:
    """Read a plan. ``almanac``: looks whether there is such a zone and calendar (None: not looked at); ``known_tags``:
    those conditions may ask for (None: any). Raises `ReminderError`, and nothing else, whatever the text."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise ReminderError(f"{path}:1: {len(text)} characters; a plan of reminders has at most {MAX_FILE_CHARACTERS}")
    return _Reader(TomlText(text, path, ReminderError), almanac, known_tags).policy()


class _Reader:
    """From tables to a plan; every complaint names its line."""

    def __init__(self, file: TomlText, almanac: Almanac | None, known_tags: Collection[str] | None) -> None:
        self._file = file
        self._almanac = almanac
        self._known_tags = known_tags

    def policy(self) -> ReminderPolicy:
        data = self._file.data
        for key in data:
            if key not in (*_TEXTS, *_LISTS, *_SINGLES):
                known = f"{', '.join(_TEXTS)}, [[{']], [['.join(_LISTS)}]] and [{'], ['.join(_SINGLES)}]"
                self._file.fail(f"unknown entry {key[:80]!r}: a plan of reminders has {known}", self._line(key))
        name = self._text("name")
        if not REASON.fullmatch(name):
            self._file.fail(f"{name[:80]!r} is no name: a–z first, then a–z, 0–9, _", self._file.key("name"))
        zone, calendar = self._text("zone"), self._text("calendar") if "calendar" in data else None
        if self._almanac is not None and self._almanac.zone(zone) is None:
            self._file.fail(f"there is no time zone {zone[:80]!r}: write it as Asia/Shanghai", self._file.key("zone"))
        if self._almanac is not None and calendar is not None and not self._almanac.calendar(calendar):
            self._file.fail(f"there is no holiday calendar {calendar[:80]!r}: write a country as CN, or leave it out",
                            self._file.key("calendar"))  # fmt: skip
        products, spread = self._products(zone), self._spread()
        stages = self._stages(products, spread)
        digest = hashlib.sha256(self._file.text.encode()).hexdigest()
        return ReminderPolicy(
            name, f"{name}@{digest[:12]}", zone, calendar, products, stages, self._skips({each.name for each in stages}),
            self._thanks(), self._promises(), spread, self._notices(),
        )  # fmt: skip

    def _line(self, key: str) -> int:
        return max(self._file.key(key), self._file.header(key), self._file.table(key, 0))

    def _text(self, key: str) -> str:
        value = self._file.data.get(key)
        if not isinstance(value, str) or not value:
            self._file.fail(f'the plan has no {key}: write {key} = "…" before the first table', self._file.key(key))
        return value

    def _tables(self, name: str, kind: type[_Table]) -> list[tuple[int, _Table]]:
        given = self._file.data.get(name, [])
        if not isinstance(given, list):
            self._file.fail(f"{name} is a list of tables: begin each with [[{name}]]", self._line(name))
        if len(given) > _LISTS[name]:
            self._file.fail(f"{len(given)} [[{name}]] tables; a plan has at most {_LISTS[name]}",
                            self._file.table(name, _LISTS[name]))  # fmt: skip
        lines = [self._file.table(name, index) for index in range(len(given))]
        return [
            (line, self._converted(f"[[{name}]]", line, table, kind)) for line, table in zip(lines, given, strict=True)
        ]

    def _single_table(self, name: str) -> Mapping[str, Any]:
        given = self._file.data.get(name, {})
        if not isinstance(given, dict):
            self._file.fail(f"{name} is one table: begin it with [{name}]", self._line(name))
        return MappingProxyType(given)

    def _single(self, name: str, kind: type[_Table]) -> tuple[int, _Table]:
        line = self._file.header(name)
        return line, self._converted(f"[{name}]", line, dict(self._single_table(name)), kind)

    def _converted(self, what: str, line: int, given: object, kind: type[_Table]) -> _Table:
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            words = str(error)
            named = re.search(r"at `\$\.(\w+)", words) or re.search(r"unknown field `(\w+)`", words)
            plain = re.sub(r" - at `\$\.?(\w*)[^`]*`", lambda at: f" ({at[1]})" if at[1] else "", words).replace(
                "`", ""
            )
            known = ", ".join(kind.__struct_encode_fields__)
            self._file.fail(
                f"{what}: {plain}; it has {known}", self._file.key(named[1], line) if named else max(line, 1)
            )

    def _range(self, what: str, value: int, low: int, high: int, line: int) -> None:
        if not low <= value <= high:
            self._file.fail(f"{what} = {value}: a whole number from {low} to {high}", self._file.key(what, line))

    def _clock(self, what: str, text: str, line: int) -> int:
        minutes = clock_minutes(text)
        if minutes is None:
            self._file.fail(f"{what} = {text[:20]!r}: a time of day, such as 10:00", self._file.key(what, line))
        return minutes

    def _products(self, zone: str) -> Mapping[str, Terms]:
        made: dict[str, Terms] = {}
        for line, table in self._tables("product", _ProductTable):
            if table.name in made:
                self._file.fail(f"a second product named {table.name}: put its terms into one table",
                                self._file.key("name", line))  # fmt: skip
            self._range("tolerance", table.tolerance, 0, 10**12, line)
            self._range("grace_days", table.grace_days, 0, MAX_DAYS, line)
            self._range("posting_grace_days", table.posting_grace_days, 0, MAX_DAYS, line)
            self._range("pending_days", table.pending_days, 0, MAX_DAYS, line)
            made[table.name] = Terms(
                tolerance=table.tolerance,
                grace_days=table.grace_days,
                posting_grace_days=table.posting_grace_days,
                pending_days=table.pending_days,
                zone=zone,
            )
        if not made:
            self._file.fail("the plan has no [[product]]: say by which terms days past due are counted")
        return MappingProxyType(made)

    def _stages(self, products: Collection[str], spread: SpreadPlan) -> tuple[Stage, ...]:
        made: dict[str, Stage] = {}
        for line, table in self._tables("stage", _StageTable):
            stage = self._stage(line, table, products)
            if not spread.start <= stage.at_minutes < spread.end:
                self._file.fail(f"at = {table.at}: outside the hours of [spread]", self._file.key("at", line))
            if stage.name in made:
                self._file.fail(f"a second stage named {stage.name}: stages are told once, by name; give it its own",
                                self._file.key("name", line))  # fmt: skip
            made[stage.name] = stage
        return tuple(sorted(made.values(), key=lambda stage: (stage.day, stage.at_minutes)))

    def _stage(self, line: int, table: _StageTable, products: Collection[str]) -> Stage:
        place = self._file.key("name", line)
        if not NAME.fullmatch(table.name):
            self._file.fail(
                f"{table.name[:80]!r} is no name of a stage: a–z first, then a–z, 0–9, _ (at most 16)", place
            )
        if table.name.startswith(RESERVED):
            self._file.fail(f"name: what begins with {', '.join(RESERVED)} is not for stages; give it another", place)
        self._range("day", table.day, -MAX_DAY, MAX_DAY, line)
        self._range("until_day", table.until_day, table.day, MAX_DAY, line)
        at_minutes = self._clock("at", table.at, line)
        if table.template not in TEMPLATES[table.class_] or table.template == "thanks":
            known = ", ".join(sorted(TEMPLATES[table.class_] - {"thanks"}))
            self._file.fail(f"class {table.class_} has no template {table.template[:80]!r}: it has {known}",
                            self._file.key("template", line))  # fmt: skip
        if table.class_ == "collection" and table.day <= 0:
            self._file.fail("nothing is collected before it is past due: class = \"reminder\", or a day above 0",
                            self._file.key("class", line))  # fmt: skip
        absent = [each for each in table.products if each not in products]
        if absent or not table.products:
            self._file.fail(f"products: there is no [[product]] named {absent[0] if absent else ''!r}",
                            self._file.key("products", line))  # fmt: skip
        untold = [each for each in table.channels if (table.class_, each, table.template) not in RULES]
        if untold:
            self._file.fail(f"channels: {untold[0]} has no text {table.template} of class {table.class_}",
                            self._file.key("channels", line))  # fmt: skip
        if table.on_holiday != "keep" and "calendar" not in self._file.data:
            self._file.fail("on_holiday needs the plan's calendar = \"…\", before the first table",
                            self._file.key("on_holiday", line))  # fmt: skip
        when = None if table.when is None else self._condition(table.when, line)
        return Stage(
            table.name, tuple(table.products), table.day, table.until_day, at_minutes, table.class_, table.template,
            tuple(table.channels), table.on_holiday, when,
        )  # fmt: skip

    def _skips(self, stages: Collection[str]) -> tuple[Skip, ...]:
        made = []
        for line, table in self._tables("skip", _SkipTable):
            if not REASON.fullmatch(table.reason):
                self._file.fail(f"{table.reason[:80]!r} is no reason: a–z first, then a–z, 0–9, _",
                                self._file.key("reason", line))  # fmt: skip
            unknown = [each for each in table.stages if each not in stages]
            if unknown:
                self._file.fail(
                    f"stages: there is no [[stage]] named {unknown[0][:80]!r}", self._file.key("stages", line)
                )
            made.append(Skip(table.reason, self._condition(table.when, line), frozenset(table.stages)))
        return tuple(made)

    def _condition(self, text: str, table: int) -> Rule:
        line = self._file.value("when", table)
        try:
            rule = compile_rule(text, ACCOUNT_SCHEMA)
        except RuleError as error:
            self._file.fail(f"when: {error.message}, at {error.piece!r}", line + error.line - 1)
        asked = sorted(rule.columns - ACCOUNT_SCHEMA.keys())
        tags = [use.name for use in map(tag_use, asked) if use is not None]
        if len(tags) < len(asked):
            beside = next(each for each in asked if tag_use(each) is None)
            self._file.fail(f"when: {beside} asks about a transaction: this plan speaks of accounts", line)
        unknown = [each for each in tags if self._known_tags is not None and each not in self._known_tags]
        if unknown:
            self._file.fail(f"when: there is no tag {unknown[0]}: correct it, or define it in tags.toml", line)
        return rule

    def _thanks(self) -> Thanks:
        line, table = self._single("thanks", _ThanksTable)
        untold = [each for each in table.channels if ("reminder", each, "thanks") not in RULES]
        if untold:
            self._file.fail(f"channels: {untold[0]} has no text thanks", self._file.key("channels", line))
        return Thanks(table.send, tuple(table.channels))

    def _notices(self) -> NoticeRules:
        line, table = self._single("notices", NoticeRules)
        self._clock("digest_at", table.digest_at, line)
        self._range("worth_hours", table.worth_hours, 1, MAX_WORTH_HOURS, line)
        self._range("balance_from", table.balance_from, 0, 10**12, line)
        alone = [each for each in table.digest if each not in TOGETHER]
        if alone:
            self._file.fail(f"digest: several {alone[0][:80]!r} cannot be told in one message; {', '.join(TOGETHER)} can",
                            self._file.key("digest", line))  # fmt: skip
        return table

    def _promises(self) -> Promises:
        line, table = self._single("promise", _PromiseTable)
        self._range("max_days", table.max_days, 1, MAX_DAYS, line)
        self._range("days", table.days, 1, table.max_days, line)
        return Promises(table.days, table.max_days, table.remind)

    def _spread(self) -> SpreadPlan:
        line, table = self._single("spread", _SpreadTable)
        start, end = self._clock("start", table.start, line), self._clock("end", table.end, line)
        if start >= end:
            self._file.fail("end: the day ends after it starts", self._file.key("end", line))
        below = self._file.header("spread.per_hour") or self._file.key("per_hour", line)
        for channel, number in table.per_hour.items():
            if channel not in CHANNELS:
                self._file.fail(f"per_hour: there is no channel {channel[:80]!r}: there are {', '.join(CHANNELS)}",
                                self._file.key(channel, below))  # fmt: skip
            self._range(channel, number, 1, MAX_PER_HOUR, below)
        return SpreadPlan(
            start, end, MappingProxyType({each: table.per_hour[each] for each in _channels(table.per_hour)})
        )


def _channels(names: Collection[str]) -> Sequence[Channel]:
    return [each for each in get_args(Channel) if each in names]
