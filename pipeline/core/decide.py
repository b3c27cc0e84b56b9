"""From columns to decisions: what a policy makes of a poll's transactions.

Rules look at whole columns; only transactions that something was found for are touched one by one. A decision depends
on its own row and the policy, never on what else is in the poll.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from pipeline.core.control_group import milder
from pipeline.core.decision import APPROVE, Actions, Outcome, Reason, Scope, summarise
from pipeline.core.policy import Policy
from pipeline.core.rules import Columns

MAX_REASONS = 5
"""Reasons told with one decision."""

TRANSACTION = ("approve", "step_up", "decline")
CARD = ("none", "limit", "hold")
CONTACT = ("none", "notify", "verify")
QUEUE = ("none", "review")
"""What can be asked for, the lighter first: of two, the heavier is done."""


Because = Callable[[NDArray[np.int64]], Iterable[Sequence[Reason]]]
"""Indices of transactions, int64[k] → for each the reasons that its score has, the strongest first."""


def merge(one: Actions, other: Actions) -> Actions:
    """Part by part the heavier of both; the scopes of two card actions together (different ones make all)."""
    return Actions(
        max(one.transaction, other.transaction, key=TRANSACTION.index),
        max(one.card, other.card, key=CARD.index),
        max(one.contact, other.contact, key=CONTACT.index),
        max(one.queue, other.queue, key=QUEUE.index),
        _widest(one.scope, other.scope),
    )


def _widest(one: Scope | UnsetType, other: Scope | UnsetType) -> Scope | UnsetType:
    if one is UNSET or one == other:
        return other
    return one if other is UNSET else "all"


class _Finding(NamedTuple):
    """What one combination of a threshold and rules amounts to; ``told``: reason codes and their figures, strongest
    first; ``hard``: a hard rule is among them; ``by_rule``: the score alone comes to less; ``withheld``: the outcome that
    the control group took away."""

    actions: Actions
    outcome: Outcome
    told: tuple[tuple[str, tuple[str, ...]], ...]
    hard: bool
    by_rule: bool
    withheld: Outcome | None = None


class Verdicts:
    """What is decided about ``n`` transactions.

    ``outcome`` uint8[n], values of `Outcome`; ``alerted`` int64[k], the indices with an outcome from notify up or one
    withheld, in order; ``rule_hits``: how many transactions each rule hit, of the rules that hit any.
    """

    def __init__(
        self,
        policy: Policy,
        columns: Columns,
        n: int,
        findings: Mapping[int, _Finding],
        rule_hits: dict[str, int],
        because: Because | None = None,
    ) -> None:
        self._policy = policy
        self._columns = columns
        self._findings = findings
        self._because = because
        self._known: dict[tuple[int, bytes], Sequence[tuple[str, tuple[str, ...]]]] = {}
        self._values: dict[str, list[Any]] = {}
        self.rule_hits = rule_hits
        self.alerted = np.array(sorted(findings), dtype=np.int64)
        self.outcome = np.zeros(n, dtype=np.uint8)
        for index, finding in findings.items():
            self.outcome[index] = finding.outcome

    def actions(self, index: int) -> Actions:
        """What each party is asked to do about the transaction at ``index``."""
        finding = self._findings.get(index)
        return APPROVE if finding is None else finding.actions

    def hard(self, index: int) -> bool:
        """Whether a hard rule spoke about the transaction at ``index``."""
        finding = self._findings.get(index)
        return finding is not None and finding.hard

    def by_rule(self, index: int) -> bool:
        """Whether rules brought the outcome of the transaction at ``index``: its score alone comes to less."""
        finding = self._findings.get(index)
        return finding is not None and finding.by_rule

    def withheld(self, index: int) -> Outcome | None:
        """What the transaction at ``index`` would have got, were it not in the control group."""
        finding = self._findings.get(index)
        return None if finding is None else finding.withheld

    def reasons(self, index: int) -> list[Reason]:
        """Strongest first: hard rules, other rules by the weight of their outcome, the threshold, then what the score
        comes from; where that is not known, what explains it by the policy. No code twice, at most `MAX_REASONS`; none
        for an approved transaction."""
        finding = self._findings.get(index)
        if finding is None:
            return []
        position = self._positions[index]
        grounds = self._grounds[position]
        if grounds:
            told: dict[str, Reason] = {}
            for code, figures in finding.told:
                told.setdefault(code, Reason(code, self._detail(position, figures)))
            for each in grounds:
                told.setdefault(each.code, each)
            return list(told.values())[:MAX_REASONS]
        return [Reason(code, self._detail(position, figures)) for code, figures in self._told(finding, position)]

    def _told(self, finding: _Finding, position: int) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Reason codes and their figures: found once for all transactions that have the same ones."""
        held = self._explained[position]
        told = self._known.get((id(finding), held))
        if told is None:
            codes: dict[str, tuple[str, ...]] = {}
            explaining = compress(self._policy.explanations, held)
            for code, figures in (*finding.told, *((each.reason, each.figures) for each in explaining)):
                codes.setdefault(code, figures)
            told = self._known[id(finding), held] = list(codes.items())[:MAX_REASONS]
        return told

    @cached_property
    def _grounds(self) -> Sequence[Sequence[Reason]]:
        """For each alerted one, what its score comes from: asked for only now, when somebody is to be told why."""
        return [()] * len(self.alerted) if self._because is None else list(self._because(self.alerted))

    @cached_property
    def _positions(self) -> Mapping[int, int]:
        """Alerted index → its place among the alerted."""
        return {index: position for position, index in enumerate(self.alerted.tolist())}

    @cached_property
    def _explained(self) -> Sequence[bytes]:
        """For each alerted one, which explaining reasons hold: a byte for each, in the policy's order."""
        rows = self.alerted
        explanations = self._policy.explanations
        names = frozenset[str]().union(*(each.rule.columns for each in explanations))
        taken = {name: self._columns[name][rows] for name in names}
        hits = np.empty((len(rows), len(explanations)), dtype=np.bool_)
        for number, each in enumerate(explanations):
            hits[:, number] = each.rule.hits(taken, len(rows))
        return [row.tobytes() for row in hits]

    def _detail(self, position: int, figures: Sequence[str]) -> dict[str, Any] | None:
        detail = {}
        for name in figures:
            values = self._values.get(name)
            if values is None:
                values = self._values[name] = self._columns[name][self.alerted].tolist()
            value = figure(values[position])
            if value is not None:
                detail[name] = value
        return detail or None


def figure(value: Any) -> float | int | str | None:
    """A column's value as people read it: whole numbers from 100 up, two decimals from 1 up, else three; None for a
    missing one."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    size = abs(number)
    rounded = round(number, 0 if size >= 100 else 2 if size >= 1 else 3)
    return int(rounded) if rounded.is_integer() else rounded


def decide(
    policy: Policy,
    columns: Columns,
    n: int,
    exempt: NDArray[np.bool_] | None = None,
    id_of: Callable[[int], str] | None = None,
    because: Because | None = None,
) -> Verdicts:
    """Decide ``n`` transactions. ``columns`` holds at least `Policy.columns` (forms as `Rule.hits` has them), each of
    length n. ``exempt`` bool[n]: approved whatever the rules say (reversals, clearings, refunds, payments). ``id_of``
    says the id of the transaction at an index, for the policy's control group; None: there is none. ``because`` says what
    the scores come from, None: that is not known."""
    considered = None if exempt is None or not exempt.any() else ~exempt
    rule_hits: dict[str, int] = {}
    hit: dict[int, list[int]] = {}
    for number, each in enumerate(policy.rules if n else ()):
        rows = _rows(each.rule.hits(columns, n), considered)
        if rows:
            rule_hits[each.name] = len(rows)
            for index in rows:
                hit.setdefault(index, []).append(number)
    levels = _levels(policy, columns, n, considered)
    known: dict[tuple[int, ...], _Finding] = {}
    findings: dict[int, _Finding] = {}
    for index in hit.keys() | levels.keys():
        combination = (levels.get(index, -1), *hit.get(index, ()))
        finding = known.get(combination)
        if finding is None:
            finding = known[combination] = _finding(policy, *combination)
        findings[index] = finding
    if id_of is not None:
        _let_off(policy, columns, findings, id_of)
    return Verdicts(policy, columns, n, findings, rule_hits, because)


def _let_off(policy: Policy, columns: Columns, findings: dict[int, _Finding], id_of: Callable[[int], str]) -> None:
    """Give the next milder outcome to the findings of the control group."""
    group = policy.control_group
    if group is None:
        return
    milder_ones: dict[int, _Finding] = {}
    for index, finding in findings.items():
        if finding.hard or not group.holds(id_of(index), columns["amount"][index]):
            continue
        let_off = milder_ones.get(id(finding))
        if let_off is None:  # one for all alike: reasons are found once for each
            actions = milder(finding.actions)
            let_off = finding._replace(actions=actions, outcome=summarise(actions), withheld=finding.outcome)
            milder_ones[id(finding)] = let_off
        findings[index] = let_off


def _rows(mask: NDArray[np.bool_], considered: NDArray[np.bool_] | None) -> list[int]:
    if not np.count_nonzero(mask):
        return []
    rows: list[int] = np.flatnonzero(mask if considered is None else mask & considered).tolist()
    return rows


def _levels(policy: Policy, columns: Columns, n: int, considered: NDArray[np.bool_] | None) -> dict[int, int]:
    """Index → number of the highest threshold reached, for those that reach one. A missing score reaches none."""
    if not policy.thresholds or not n:
        return {}
    edges = [threshold.score for threshold in policy.thresholds]
    score = columns["score"]
    rows = _rows(np.greater_equal(score, edges[0]), considered)
    return {index: bisect_right(edges, score[index]) - 1 for index in rows}


def _finding(policy: Policy, level: int, *numbers: int) -> _Finding:
    rules = sorted((policy.rules[number] for number in numbers), key=lambda rule: (not rule.hard, -rule.outcome))
    every = [rule.actions for rule in rules]
    told = [(rule.reason, rule.figures) for rule in rules]
    if level >= 0:
        every.append(policy.thresholds[level].actions)
        told.append((policy.thresholds[level].reason, ()))
    actions = reduce(merge, every, APPROVE)
    outcome = summarise(actions)
    by_score = policy.thresholds[level].outcome if level >= 0 else Outcome.approve
    return _Finding(actions, outcome, tuple(told), any(rule.hard for rule in rules), by_score < outcome)


class Judgement(NamedTuple):
    """What a threshold and rules together amount to: ``reasons`` codes, strongest first; ``hard``: a hard rule spoke."""

    actions: Actions
    outcome: Outcome
    reasons: tuple[str, ...]
    hard: bool


def judged(policy: Policy, level: int, rules: Sequence[int]) -> Judgement:
    """What `decide` makes of a transaction that reached the threshold number ``level`` (−1: none) and was hit by the
    rules of these numbers, were it in no control group."""
    found = _finding(policy, level, *rules)
    return Judgement(found.actions, found.outcome, tuple(code for code, _ in found.told), found.hard)
