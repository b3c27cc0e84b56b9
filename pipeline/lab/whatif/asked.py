"""What a policy asks of past rows: the parts of its rules, and the columns these look at."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.core.columns import SCHEMA
from pipeline.core.counters import with_counters
from pipeline.core.lists import Lists, list_use
from pipeline.core.policy import Policy
from pipeline.core.rules import Rule
from pipeline.lab.whatif.block import Block
from pipeline.lab.whatif.rule_hits import parts_of

LOAD_BYTES: Final = 32_000_000
"""Columns of one block that are read together, each of two threads."""


class Asked:
    """``keys``: of each rule what it is kept by; ``rules``: that → its parts; ``parts``: what a part is kept by → it;
    ``columns``: name → what a column is kept by. Equal keys, equal values: a counter's tells where the archive has it, a
    list's what it holds. ``beside``: name → SQL, as `columns_of` gives it."""

    def __init__(self, policy: Policy, beside: Mapping[str, str], lists: Lists) -> None:
        self._beside = beside
        schema = with_counters(SCHEMA, policy.counters.names + policy.entity_counters.names)
        self.columns: dict[str, Any] = {}
        self.parts: dict[Any, Rule] = {}
        self.rules: dict[Any, list[Any]] = {}
        self.keys: list[Any] = []
        for rule in policy.rules:
            for name in rule.rule.columns:
                use = list_use(name)
                self.columns[name] = name, beside.get(name), lists.version([use.name]) if use is not None else None
            of = []
            for part in parts_of(rule.rule, schema):
                of.append((part.text, tuple(self.columns[name] for name in sorted(part.columns))))
                self.parts[of[-1]] = part
            self.keys.append(("rule", *of))
            self.rules[self.keys[-1]] = of

    def sql(self, name: str) -> str:
        """Of a column."""
        return self._beside.get(name, f'"{name}"')

    def wanted(self, block: Block) -> set[str]:
        """Columns that have to be looked at for rules of which ``block`` does not know yet what they hit."""
        return {name for part in self._missing(block).values() for name in part.columns} - {"score"}

    def batches(self, block: Block) -> Iterator[Mapping[Any, Rule]]:
        """The parts that are missing, some at a time: no more columns of them are read than `LOAD_BYTES`, but for a single
        part's."""
        most = max(1, LOAD_BYTES // (8 * max(1, block.n)))
        some: dict[Any, Rule] = {}
        names: set[str] = set()
        parts = sorted(self._missing(block).items(), key=lambda one: sorted(one[1].columns))  # sharers stand together
        for key, part in parts:
            new = {name for name in part.columns - {"score"} if self.columns[name] not in block.columns}
            if some and len(names | new) > most:
                yield some
                some, names = {}, set()
            some[key] = part
            names |= new
        if some:
            yield some

    def _missing(self, block: Block) -> dict[Any, Rule]:
        return {
            key: self.parts[key]
            for rule, of in self.rules.items()
            if rule not in block.hits
            for key in of
            if key not in block.hits
        }
