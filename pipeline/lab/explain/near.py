"""Which rules hit a transaction, and which nearly did: each part of a condition, with the values beside its limits.

A rule that did not hit is *near* when exactly one of its parts that are joined by AND fails, and that part, where it
compares a number with a fixed limit, lies within a factor of two of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlglot
from sqlglot import expressions as sql

from pipeline.core.columns import SCHEMA
from pipeline.core.decide import figure
from pipeline.core.policy import PolicyRule
from pipeline.core.rules import Columns, Rule, RuleError, Schema, compile_rule

NEAR_FACTOR = 2.0
"""How far from its limit a number may be for the rule to have nearly hit."""

Value = float | int | str | None


class RulePart(msgspec.Struct, frozen=True):
    """One part of a condition. ``values``: what its columns were; ``limit``: the fixed number that one column is
    compared with, None where the part is no such comparison."""

    condition: str
    holds: bool
    values: dict[str, Value]
    limit: float | None = None


class RuleSeen(msgspec.Struct, frozen=True):
    """A rule that hit, or nearly did."""

    name: str
    hit: bool
    outcome: str
    reason: str
    parts: list[RulePart]


class TakenApart(NamedTuple):
    """A rule and its parts: text, compiled, columns, limit. ``compiled`` None: not a condition by itself."""

    rule: PolicyRule
    parts: Sequence[tuple[str, Rule | None, Sequence[str], float | None]]


def take_apart(rule: PolicyRule, schema: Schema = SCHEMA) -> TakenApart:
    """``rule`` with what AND joins at the top of its condition. ``schema``: the columns it may speak of."""
    parts = []
    for part in _joined(sqlglot.parse_one(rule.rule.text, dialect="duckdb")):
        text = part.sql(dialect="duckdb")
        names = sorted({column.name.lower() for column in part.find_all(sql.Column)})
        try:
            compiled = compile_rule(text, schema)
            names = sorted(compiled.columns)  # with a list's question as a column of its own
        except RuleError:
            compiled = None
        parts.append((text, compiled, names, _limit(part)))
    return TakenApart(rule, parts)


def rules_seen(rules: Sequence[TakenApart], columns: Columns) -> list[RuleSeen]:
    """Those of ``rules`` that hit the one transaction in ``columns`` (arrays of length 1), then those that nearly did."""
    hits: list[RuleSeen] = []
    near: list[RuleSeen] = []
    for rule, taken in rules:
        hit = bool(rule.rule.hits(columns, 1)[0])
        parts = [
            RulePart(
                text,
                compiled is not None and bool(compiled.hits(columns, 1)[0]),
                {name: figure(columns[name][0]) for name in names},
                limit,
            )
            for text, compiled, names, limit in taken
        ]
        if hit or _nearly(parts):
            seen = RuleSeen(rule.name, hit, rule.outcome.name, rule.reason, parts)
            (hits if hit else near).append(seen)
    return hits + near


def _joined(condition: sql.Expression) -> list[sql.Expression]:
    """What AND joins at the top, brackets taken off."""
    condition = condition.unnest()
    if isinstance(condition, sql.And):
        return [*_joined(condition.left), *_joined(condition.right)]
    return [condition]


_COMPARISONS = (sql.GT, sql.GTE, sql.LT, sql.LTE)


def _limit(part: sql.Expression) -> float | None:
    if not isinstance(part, _COMPARISONS):
        return None
    sides = [part.left, part.right]
    numbers = [side for side in sides if isinstance(side, sql.Literal) and not side.is_string]
    others = [side for side in sides if isinstance(side, sql.Column)]
    return float(numbers[0].this) if len(numbers) == len(others) == 1 else None


def _nearly(parts: Sequence[RulePart]) -> bool:
    failed = [part for part in parts if not part.holds]
    if len(failed) != 1:
        return False
    (part,) = failed
    if part.limit is None:
        return len(parts) > 1 and None not in part.values.values()
    (value,) = part.values.values()
    if not isinstance(value, int | float):
        return False
    lesser, greater = sorted((abs(value), abs(part.limit)))
    return lesser * NEAR_FACTOR >= greater and (value < 0) == (part.limit < 0)
