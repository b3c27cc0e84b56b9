"""A policy: what the bank does about a score and about what its rules find. Data, read from one TOML file.

``[[threshold]]`` says what is done from a score upwards (the highest one reached counts), ``[[rule]]`` what is done
where a SQL condition holds, ``[[reason]]`` which conditions help to explain, in words, why a transaction was found
unusual; those never cause anything. ``[counters]`` defines counters of the bank's own, which all of them may then speak
of as columns; ``[control_group]`` lets a small random share off, to measure what acting is worth. A file that is wrong in
any part is refused as a whole.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from pipeline.core.control_group import MAX_SHARE, ControlGroup
from pipeline.core.counters import NO_COUNTERS, Counters, with_counters
from pipeline.core.decision import Actions, Outcome, summarise
from pipeline.core.entity_counters import NO_ENTITY_COUNTERS, EntityCounters
from pipeline.core.lists import Lists, ListUse, list_use
from pipeline.core.policy_counters import read_counters
from pipeline.core.rules import Rule, RuleError, Schema, compile_rule
from pipeline.core.tag_use import TagUse, tag_use
from pipeline.core.toml_text import FileError, TomlText

MAX_FILE_CHARACTERS = 200_000
MAX_THRESHOLDS = 10
MAX_RULES = 200
MAX_REASONS = 100
MAX_FIGURES = 6
"""Columns whose values go with one reason."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class PolicyError(FileError):
    """Why a policy file is refused: ``file:line: what is wrong, what to do``."""


class Threshold(NamedTuple):
    """From ``score`` (0–1) up, ``actions``."""

    score: float
    actions: Actions
    outcome: Outcome
    reason: str


class PolicyRule(NamedTuple):
    """``hard``: told first, and not set aside by what a cardholder confirmed earlier. ``figures``: columns whose
    values go with the reason."""

    name: str
    rule: Rule
    actions: Actions
    outcome: Outcome
    reason: str
    hard: bool
    figures: tuple[str, ...]


class Explanation(NamedTuple):
    """A reason that holds where ``rule`` does; of several, those of greater ``weight`` are told."""

    rule: Rule
    reason: str
    weight: float
    figures: tuple[str, ...]


class Policy(NamedTuple):
    """``version``: the name and the beginning of the file's SHA-256. ``columns``: all that deciding looks at; ``lists``:
    the bank's lists among that, each with ``file:line`` of a rule that asks it; ``tags``: of customers, likewise;
    ``counters``: per card;
    ``entity_counters``: per merchant and per customer."""

    name: str
    version: str
    thresholds: tuple[Threshold, ...]
    rules: tuple[PolicyRule, ...]
    explanations: tuple[Explanation, ...]
    columns: frozenset[str]
    counters: Counters = NO_COUNTERS
    lists: Mapping[ListUse, str] = MappingProxyType({})
    control_group: ControlGroup | None = None
    entity_counters: EntityCounters = NO_ENTITY_COUNTERS
    tags: Mapping[TagUse, str] = MappingProxyType({})

    @property
    def counter_names(self) -> tuple[str, ...]:
        """Of all counters, in the order of their values."""
        return self.counters.names + self.entity_counters.names

    @property
    def counter_layout(self) -> str:
        """Fingerprint of all counters' names and definitions; empty without counters."""
        return self.counters.layout + self.entity_counters.layout

    @property
    def counter_fingerprints(self) -> dict[str, str]:
        """Name → fingerprint of what is counted, in the order of `counter_names`."""
        return {**self.counters.fingerprints, **self.entity_counters.fingerprints}

    @property
    def asked_counters(self) -> dict[str, str]:
        """Name → fingerprint of the counters that deciding looks at; one may be defined and not asked yet."""
        return {name: each for name, each in self.counter_fingerprints.items() if name in self.columns}

    def unmet(self, lists: Lists) -> list[str]:
        """Why ``lists`` are not enough for this policy, a sentence each with its place in the file."""
        return [f"{place}: {wrong}" for use, place in self.lists.items() if (wrong := lists.unmet(use)) is not None]

    def unknown_tags(self, names: Collection[str]) -> list[str]:
        """Which tags this policy asks that are not among ``names``, a sentence each with its place in the file."""
        there = ", ".join(sorted(names)) or "none"
        return [
            f"{place}: {use}: there is no such tag (there are: {there}): name it in tags.toml, or correct it here"
            for use, place in self.tags.items()
            if use.name not in names
        ]

    def in_force(self, lists: Lists) -> "Policy":
        """This policy deciding with ``lists`` (which are enough for it): its version says with which, for a decision can
        only be made again with the same."""
        if not self.lists:
            return self
        plain = self.version.partition("+")[0]
        return self._replace(version=f"{plain}+{lists.version(use.name for use in self.lists)}")


def parse_policy(text: str, filename: str, schema: Schema, known_words: Collection[str] | None = None) -> Policy:
    """Read a policy. ``known_words``: the reason codes that words exist for (None: not checked). Raises `PolicyError`,
    and nothing else, whatever the text."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise PolicyError(f"{filename}:1: {len(text)} characters; a policy has at most {MAX_FILE_CHARACTERS}")
    return _Reader(TomlText(text, filename, PolicyError), schema, known_words).policy()


class _ThresholdTable(msgspec.Struct, forbid_unknown_fields=True):
    score: float
    actions: dict[str, Any]
    reason: str


class _RuleTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    when: str
    actions: dict[str, Any]
    reason: str
    hard: bool = False
    figures: list[str] = []


class _ReasonTable(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    when: str
    weight: float
    figures: list[str] = []


class _ControlGroupTable(msgspec.Struct, forbid_unknown_fields=True):
    share: float
    max_amount: float


class _ActionsTable(Actions, frozen=True, forbid_unknown_fields=True):
    """`Actions`, as strict as a file wants it."""


_Table = TypeVar("_Table", _ThresholdTable, _RuleTable, _ReasonTable)
_TableName = Literal["threshold", "rule", "reason"]
_LIMITS: Mapping[str, int] = {"threshold": MAX_THRESHOLDS, "rule": MAX_RULES, "reason": MAX_REASONS}


class _Reader:
    """From tables to a policy; every complaint names its line."""

    def __init__(self, file: TomlText, schema: Schema, known_words: Collection[str] | None) -> None:
        self._file = file
        self._schema = schema
        self._known_words = known_words
        self._lists: dict[ListUse, str] = {}
        self._tags: dict[TagUse, str] = {}

    def policy(self) -> Policy:
        data = self._file.data
        for key in data:
            if key not in ("name", "counters", "control_group", *_LIMITS):
                known = "name, [counters], [control_group], [[threshold]], [[rule]] and [[reason]]"
                self._file.fail(f"unknown entry {key!r}: a policy has {known}",
                                max(self._file.key(key), self._file.table(key, 0)))  # fmt: skip
        name = data.get("name")
        if not isinstance(name, str):
            self._file.fail('the policy has no name: write name = "…" before the first table')
        self._name(name, self._file.key("name"))
        counters, entity_counters = read_counters(self._file, self._schema, self._name)
        self._schema = with_counters(self._schema, counters.names + entity_counters.names)
        thresholds = self._thresholds(self._tables("threshold", _ThresholdTable))
        rules = self._rules(self._tables("rule", _RuleTable))
        explanations = self._explanations(self._tables("reason", _ReasonTable))
        looked_at = [*(rule.rule.columns for rule in rules), *(each.rule.columns for each in explanations)]
        told = [*(rule.figures for rule in rules), *(each.figures for each in explanations)]
        group = self._control_group()
        measured = [*(["score"] if thresholds else []), *(["amount"] if group else [])]
        columns = frozenset(measured).union(*looked_at, *told)
        digest = hashlib.sha256(self._file.text.encode()).hexdigest()
        return Policy(
            name, f"{name}@{digest[:12]}", thresholds, rules, explanations, columns, counters, self._lists, group,
            entity_counters, self._tags,
        )  # fmt: skip

    def _control_group(self) -> ControlGroup | None:
        given = self._file.data.get("control_group")
        if given is None:
            return None
        line = self._file.header("control_group")
        try:
            table = msgspec.convert(given, _ControlGroupTable)
        except msgspec.ValidationError as error:
            self._file.fail(f"[control_group]: {_plain(error)}", self._faulty(line, error))
        if not 0 < table.share <= MAX_SHARE:
            self._file.fail(
                f"share = {table.share:g}: above 0, up to {MAX_SHARE:g}; leave [control_group] out for none",
                self._file.key("share", line),
            )
        if not 0 < table.max_amount < float("inf"):
            self._file.fail(
                f"max_amount = {table.max_amount:g}: minor units above 0", self._file.key("max_amount", line)
            )
        return ControlGroup(table.share, table.max_amount)

    def _tables(self, name: _TableName, kind: type[_Table]) -> list[tuple[int, _Table]]:
        given = self._file.data.get(name, [])
        if not isinstance(given, list):
            self._file.fail(f"{name} is a list of tables: begin each with [[{name}]]", self._file.key(name))
        if len(given) > _LIMITS[name]:
            self._file.fail(
                f"{len(given)} [[{name}]] tables; a policy has at most {_LIMITS[name]}",
                self._file.table(name, _LIMITS[name]),
            )
        tables = []
        for index, table in enumerate(given):
            line = self._file.table(name, index)
            try:
                tables.append((line, msgspec.convert(table, kind)))
            except msgspec.ValidationError as error:
                self._file.fail(f"[[{name}]]: {_plain(error)}", self._faulty(line, error))
        return tables

    def _faulty(self, line: int, error: msgspec.ValidationError) -> int:
        named = re.search(r"at `\$\.(\w+)", str(error)) or re.search(r"unknown field `(\w+)`", str(error))
        return self._file.key(named[1], line) if named else line

    def _thresholds(self, tables: Sequence[tuple[int, _ThresholdTable]]) -> tuple[Threshold, ...]:
        made: list[Threshold] = []
        for line, table in tables:
            place = self._file.key("score", line)
            if not 0 < table.score <= 1:
                self._file.fail(f"score = {table.score:g}: a probability above 0, up to 1", place)
            actions, outcome = self._actions(table.actions, line)
            self._code(table.reason, self._file.key("reason", line))
            if made and table.score <= made[-1].score:
                self._file.fail("thresholds go upwards: put this one before the one above it", place)
            if made and outcome < made[-1].outcome:
                self._file.fail(f"{outcome.name} is less than the {made[-1].outcome.name} of a lower score", place)
            made.append(Threshold(table.score, actions, outcome, table.reason))
        return tuple(made)

    def _rules(self, tables: Sequence[tuple[int, _RuleTable]]) -> tuple[PolicyRule, ...]:
        made: dict[str, PolicyRule] = {}
        for line, table in tables:
            place = self._file.key("name", line)
            self._name(table.name, place)
            if table.name in made:
                self._file.fail(f"a second rule named {table.name}: names are counted under, give it its own", place)
            self._code(table.reason, self._file.key("reason", line))
            actions, outcome = self._actions(table.actions, line)
            rule, figures = self._rule(table.when, line), self._figures(table.figures, line)
            made[table.name] = PolicyRule(table.name, rule, actions, outcome, table.reason, table.hard, figures)
        return tuple(made.values())

    def _explanations(self, tables: Sequence[tuple[int, _ReasonTable]]) -> tuple[Explanation, ...]:
        made = []
        for line, table in tables:
            self._code(table.code, self._file.key("code", line))
            if not 0 < table.weight <= 100:
                self._file.fail(f"weight = {table.weight:g}: above 0, up to 100", self._file.key("weight", line))
            rule, figures = self._rule(table.when, line), self._figures(table.figures, line)
            made.append(Explanation(rule, table.code, table.weight, figures))
        return tuple(sorted(made, key=lambda explanation: -explanation.weight))

    def _rule(self, when: str, table: int) -> Rule:
        line = self._file.value("when", table)
        try:
            rule = compile_rule(when, self._schema)
        except RuleError as error:
            self._file.fail(f"when: {error.message}, at {error.piece!r}", line + error.line - 1)
        for use in filter(None, map(list_use, sorted(rule.columns))):
            self._lists.setdefault(use, self._file.place(line))
        for asked in filter(None, map(tag_use, sorted(rule.columns))):
            self._tags.setdefault(asked, self._file.place(line))
        return rule

    def _figures(self, figures: Sequence[str], table: int) -> tuple[str, ...]:
        place = self._file.key("figures", table)
        if len(figures) > MAX_FIGURES:
            self._file.fail(f"{len(figures)} figures; a reason has at most {MAX_FIGURES}", place)
        for name in figures:
            if name not in self._schema:
                self._file.fail(f"figures: unknown column {name!r}", place)
        return tuple(figures)

    def _actions(self, table: Mapping[str, Any], line: int) -> tuple[Actions, Outcome]:
        place = self._file.key("actions", line)
        try:
            actions: Actions = msgspec.convert(table, _ActionsTable)
        except msgspec.ValidationError as error:
            self._file.fail(f"actions: {_plain(error)}", place)
        if actions.card == "none" and actions.scope is not msgspec.UNSET:
            self._file.fail("actions: scope goes with card = limit or hold", place)
        outcome = summarise(actions)
        if outcome is Outcome.approve:
            self._file.fail("actions: nothing is done; give at least one of transaction, card, contact, queue", place)
        scope = "all" if actions.card != "none" and actions.scope is msgspec.UNSET else actions.scope
        return Actions(actions.transaction, actions.card, actions.contact, actions.queue, scope), outcome

    def _name(self, name: str, line: int) -> None:
        if not NAME.fullmatch(name):
            self._file.fail(f"{name[:80]!r} is no name: a–z first, then a–z, 0–9, _ (at most 64)", line)

    def _code(self, code: str, line: int) -> None:
        self._name(code, line)
        if self._known_words is not None and code not in self._known_words:
            self._file.fail(f"no words for {code}: add it to reasons.toml of every language", line)


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's sentence for people who write TOML."""
    return re.sub(r" - at `\$\.?(\w*)`", lambda at: f" ({at[1]})" if at[1] else "", str(error)).replace("`", "")
