"""A block's rows decided by a policy: which threshold and which rules hit, and what the scorer's code makes of them."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.control_group import milder
from pipeline.core.decide import Judgement, judged
from pipeline.core.decision import Actions, Outcome, summarise
from pipeline.core.policy import Policy
from pipeline.lab.whatif.block import PLAIN, Block, Judged, recorded_as
from pipeline.lab.whatif.distinct import distinct

BITS: Final = 62
"""Rules told by one integer."""
_MOST_WAYS: Final = 1_000_000
Holds = Callable[[Block, NDArray[np.int64]], NDArray[np.bool_]]
"""Rows, by position → whether the control group holds each."""


class Book:
    """What is decided, by number; 0 is a plain approval. Several threads may write."""

    def __init__(self, entries: Sequence[Judged] = (PLAIN,)) -> None:
        self._numbers = {each: number for number, each in enumerate(entries)}
        self._lock = Lock()

    def number(self, judged: Judged) -> int:
        with self._lock:
            return self._numbers.setdefault(judged, len(self._numbers))

    def of(self, judgement: Judgement) -> int:
        actions = judgement.actions
        scope = actions.scope if isinstance(actions.scope, str) else None
        return self.number(
            (judgement.outcome.name, (actions.transaction, actions.card, actions.contact, actions.queue, scope))
        )

    @property
    def entries(self) -> Sequence[Judged]:
        with self._lock:
            return list(self._numbers)

    def where(self, holds: Callable[[str, Sequence[str | None]], bool]) -> NDArray[np.bool_]:
        """Of each number, whether its outcome and actions are such."""
        return np.array([holds(outcome, actions) for outcome, actions in self.entries], dtype=np.bool_)


class Weighed(NamedTuple):
    """The rows, by ``positions`` (rising), that a policy finds something about: ``level`` int8, the number of the highest
    threshold reached, −1 for none; ``masks``: integers whose bits say which rules hit, `BITS` in each."""

    positions: NDArray[np.int64]
    level: NDArray[np.int8]
    masks: Sequence[NDArray[np.int64]]

    def at(self, chosen: NDArray[Any]) -> "Weighed":
        return Weighed(self.positions[chosen], self.level[chosen], [mask[chosen] for mask in self.masks])


class Decided(NamedTuple):
    """``decided``: their numbers in the `Book`; ``way`` of each row numbers ``reasons``."""

    positions: NDArray[np.int64]
    decided: NDArray[np.int32]
    way: NDArray[np.int64]
    reasons: Sequence[Sequence[str]]


def weigh(block: Block, policy: Policy, rules: Sequence[Any], least: float | None = None) -> Weighed:
    """``rules``: of each rule of ``policy`` the key of its hits in `Block.hits`. ``least``: rows from this score up are
    among them, whatever the thresholds."""
    masks = []
    edges = [threshold.score for threshold in policy.thresholds]
    lowest = min([*edges[:1], *([] if least is None else [least])], default=None)
    found = np.zeros(block.n, dtype=np.bool_) if lowest is None else np.greater_equal(block.score, lowest)
    for start in range(0, len(rules), BITS):
        mask = np.zeros(block.n, dtype=np.int64)
        for bit, rule in enumerate(rules[start : start + BITS]):
            hits = block.hits[rule].positions
            mask[hits] |= np.int64(1 << bit)
            found[hits] = True
        masks.append(mask)
    positions = np.flatnonzero(found)
    positions = positions[block.askable(policy)[block.recorded[positions]]]
    return Weighed(positions, levels(block.score[positions], edges), [mask[positions] for mask in masks])


def levels(score: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int8]:
    """Of each the number of the highest threshold reached, −1: none. A missing score reaches none."""
    reached = np.searchsorted(np.array(edges), score, side="right").astype(np.int8) - np.int8(1)
    reached[np.isnan(score)] = -1
    return reached


def decided(block: Block, policy: Policy, weighed: Weighed, book: Book, holds: Holds) -> Decided:
    """What they amount to, by the scorer's own code."""
    way, firsts = _ways(weighed)
    found = [
        judged(policy, int(weighed.level[first]), list(_rules([int(mask[first]) for mask in weighed.masks])))
        for first in firsts.tolist()
    ]
    numbers = np.array([book.of(each) for each in found], dtype=np.int32)
    made = numbers[way]
    if policy.control_group is not None:
        soft = np.array([each.outcome is not Outcome.approve and not each.hard for each in found], dtype=np.bool_)
        open_to = np.flatnonzero(soft[way])
        let_off = open_to[holds(block, weighed.positions[open_to])]
        mild = np.array([book.of(_mild(each)) if each.outcome else 0 for each in found], dtype=np.int32)
        made[let_off] = mild[way[let_off]]
    return Decided(weighed.positions, made, way, [each.reasons for each in found])


def _mild(each: Judgement) -> Judgement:
    actions: Actions = milder(each.actions)
    return each._replace(actions=actions, outcome=summarise(actions))


def _ways(weighed: Weighed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows are weighed alike: of each row the number of its way, of each way the first row."""
    way = weighed.level.astype(np.int64) + 1
    for mask in weighed.masks:
        hit = np.flatnonzero(mask)  # few: most rows are found by their score alone
        words = distinct(mask[hit])
        way *= len(words) + 1
        way[hit] += words.searchsorted(mask[hit]) + 1
    if way.max(initial=0) > _MOST_WAYS:
        _, way = np.unique(way, return_inverse=True)
    there = np.bincount(way) > 0
    firsts = np.empty(len(there), dtype=np.int64)
    firsts[way[::-1]] = np.arange(len(way) - 1, -1, -1)  # the last one written is the first row
    return (np.cumsum(there) - 1)[way], firsts[there]


def _rules(masks: Sequence[int]) -> Iterator[int]:
    """The numbers of the rules whose bits are set."""
    return (BITS * part + bit for part, mask in enumerate(masks) for bit in range(BITS) if mask >> bit & 1)


def recorded_numbers(block: Block, book: Book) -> NDArray[np.int32]:
    """Of each of the block's ways the number of what was decided."""
    return np.array([book.number(recorded_as(way)) for way in block.ways], dtype=np.int32)
