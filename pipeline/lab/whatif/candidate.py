"""What a candidate policy could change of a past decision, and what it would make of it: as SQL over the archive's columns.

A past policy whose text is kept is compared with the candidate rule by rule; where neither a rule that differs hits nor
the score lies where thresholds differ, both decide alike, and the row need not be looked at. What they decide is not
worked out in SQL: that tells which threshold and which rules hit, and the scorer's own code what they amount to.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.core.archive_columns import SCORED_COLUMNS
from pipeline.core.archive_counters import column_of, counters_sql
from pipeline.core.decision import Actions
from pipeline.core.lists import Lists
from pipeline.core.policy import Policy, PolicyRule
from pipeline.ports_archive import Beside

BITS: Final = 62
"""Rules told by one integer."""
NEVER: Final = "false"
ALWAYS: Final = "true"


class Refused(Exception):
    """A policy that past rows cannot be asked by: a sentence."""


class Weighing(NamedTuple):
    """Of a policy, as SQL expressions: ``level``, the number of the highest threshold reached, −1 for none; ``masks``,
    integers whose bits say which rules hit, `BITS` in each."""

    level: str
    masks: tuple[str, ...]


def beside(policy: Policy, told: Sequence[str], lists: Lists) -> Beside:
    """``told``: what the archive says in ``counters`` (`archive_counters`); ``lists`` as they are now. Raises `Refused`
    for a policy that asks what there is not."""
    asked = policy.asked_counters
    for name, fingerprint in asked.items():
        if name in SCORED_COLUMNS:
            raise Refused(f"{name}: the archive has a column of that name; give the counter another to try it")
        if not any(column_of(one, fingerprint) for one in told):
            raise Refused(
                f"{name}: this counter has no past yet in the archive of these days, which keeps the values of counters "
                "that policies had in force. Put it in force first, without a rule that asks it; `cardwatch backfill "
                "--counters` gives it a value on known cards at once"
            )
    if wrong := policy.unmet(lists):
        raise Refused(wrong[0])
    columns, whole = counters_sql(told, asked) if asked else ({}, ALWAYS)
    return Beside(columns, whole, list(lists.rows()) if policy.lists else ())


def weighing(policy: Policy) -> Weighing:
    reached = [f"CAST(coalesce(score >= {_number(each.score)}, false) AS INTEGER)" for each in policy.thresholds]
    hits = [_hit(rule) for rule in policy.rules]
    masks = [
        " + ".join(f"CASE WHEN {hit} THEN {1 << bit} ELSE 0 END" for bit, hit in enumerate(hits[start : start + BITS]))
        for start in range(0, len(hits), BITS)
    ]
    return Weighing(" + ".join([*reached, "-1"]), tuple(f"CAST({mask} AS BIGINT)" for mask in masks))


def rules_of(masks: Sequence[int]) -> list[int]:
    """The numbers of the rules whose bits are set."""
    return [BITS * part + bit for part, mask in enumerate(masks) for bit in range(BITS) if mask >> bit & 1]


def could_change(candidate: Policy, past: Mapping[str, Policy | None], lists: Lists) -> str:
    """SQL: whether ``candidate`` may decide otherwise than the policy that did. ``past``: version → that policy, None
    where it cannot be asked, and everything may change."""
    cases = [
        f"WHEN policy_version = {_text(version)} THEN {_differs(candidate, policy, version, lists)}"
        for version, policy in past.items()
        if policy is not None
    ]
    return f"CASE {' '.join(cases)} ELSE {ALWAYS} END" if cases else ALWAYS


def same_lists(policy: Policy, version: str, lists: Lists) -> bool:
    """Whether ``policy``, which decided under ``version``, asked the same lists as there are now."""
    return not policy.unmet(lists) and policy.in_force(lists).version == version


def _differs(candidate: Policy, past: Policy, version: str, lists: Lists) -> str:
    if candidate.control_group != past.control_group or not same_lists(past, version, lists):
        return ALWAYS
    if past.lists.keys() - candidate.lists.keys() or past.asked_counters.items() - candidate.asked_counters.items():
        return ALWAYS  # it asked what is not at hand now
    mine, theirs = (Counter(map(_meaning, policy.rules)) for policy in (candidate, past))
    changed = {sql for sql, _, _ in (mine - theirs) + (theirs - mine)}
    parts = [*(f"coalesce({sql}, false)" for sql in sorted(changed)), *_bands(candidate, past)]
    return f"({' OR '.join(parts)})" if parts else NEVER


def _bands(candidate: Policy, past: Policy) -> list[str]:
    """Where the score lies when thresholds mean something else."""
    edges = sorted({each.score for policy in (candidate, past) for each in policy.thresholds})
    found = []
    for low, high in zip(edges, [*edges[1:], None], strict=True):
        if _at(candidate, low) != _at(past, low):
            below = "" if high is None else f" AND score < {_number(high)}"
            found.append(f"coalesce(score >= {_number(low)}{below}, false)")
    return found


def _at(policy: Policy, score: float) -> Actions | None:
    return next((each.actions for each in reversed(policy.thresholds) if score >= each.score), None)


def _meaning(rule: PolicyRule) -> tuple[str, Actions, bool]:
    return f"({rule.rule.sql})", rule.actions, rule.hard


def _hit(rule: PolicyRule) -> str:
    return f"coalesce(({rule.rule.sql}), false)"


def _number(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"  # as a text: a plain 0.1 would be a decimal, not this double


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
