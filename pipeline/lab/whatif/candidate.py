"""What a candidate policy could change of a past decision, and what it would make of it: as SQL over the archive's columns.

A past policy whose text is kept is compared with the candidate rule by rule; where neither a rule that differs hits nor
the score lies where thresholds differ, both decide alike, and the row need not be looked at. What they decide is not
worked out in SQL: that tells which threshold and which rules hit, and the scorer's own code what they amount to.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.core.decision import Actions
from pipeline.core.policy import Policy, PolicyRule

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


def check(policy: Policy) -> None:
    """Raises `Refused` for a policy that asks what the archive does not hold."""
    if policy.counter_names:
        raise Refused(
            f"{policy.name}: its counters ({', '.join(policy.counter_names)}) are not kept with past decisions, so it "
            "cannot be tried on them: leave out the counters and the rules that ask them"
        )
    if policy.lists:
        places = sorted(policy.lists.values())
        raise Refused(
            f"{places[0]}: what the bank's lists held when a past decision was made is not kept, so a rule with in_list "
            "cannot be tried: leave it out"
        )


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


def could_change(candidate: Policy, past: Mapping[str, Policy | None]) -> str:
    """SQL: whether ``candidate`` may decide otherwise than the policy that did. ``past``: version → that policy, None
    where it cannot be asked, and everything may change."""
    cases = [
        f"WHEN policy_version = {_text(version)} THEN {_differs(candidate, policy)}"
        for version, policy in past.items()
        if policy is not None
    ]
    return f"CASE {' '.join(cases)} ELSE {ALWAYS} END" if cases else ALWAYS


def _differs(candidate: Policy, past: Policy) -> str:
    if candidate.control_group != past.control_group or past.lists or past.counter_names:
        return ALWAYS
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
