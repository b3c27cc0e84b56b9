"""The whole trade-off of one threshold in one pass: what each score would do if the threshold stood there.

A row between the neighbouring thresholds is decided in one way where the threshold is at its score or below, in another
where it is above; all other rows are decided alike wherever it is. So sums at each point are those of the others, and of
the rows in between sorted by score the one sum from above and the other from below. Who is concerned, each once, is counted
by the first point and the last at which anybody's row speaks.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.lists import NO_LISTS, Lists
from pipeline.core.policy import Policy
from pipeline.lab.whatif.answer import USUAL, Curve, Effort, Point
from pipeline.lab.whatif.block import Block
from pipeline.lab.whatif.candidate import Refused
from pipeline.lab.whatif.comparing import compare
from pipeline.lab.whatif.deciding import Book, decided, weigh
from pipeline.lab.whatif.distinct import distinct
from pipeline.lab.whatif.tally import (
    LABELS,
    Concerned,
    Kinds,
    Rows,
    Sums,
    Whole,
    cells,
    kinds_of,
    rows_of,
    side,
    sums,
    together,
    widened,
)
from pipeline.lab.whatif.trying import whole_of
from pipeline.lab.whatif.window import Progress, Window, unheard

POINTS: Final = 120
"""Of a curve, at most."""
MOST_ALERTED: Final = 0.03
"""No bank looks at more than one transaction in thirty: lower scores are not on the curve, unless today's is."""
_SAMPLED: Final = 500_000
"""Rows by which the lowest score of the curve is found."""


class _Swept(NamedTuple):
    """Of a block: sums of the rows that no point changes; those in between with their scores, decided as from the threshold
    up; and as what they are decided below it."""

    others: Sums
    score: NDArray[np.float64]
    on: Rows
    off: NDArray[np.int32]


def curve(
    policy: Policy,
    threshold: int,
    window: Window,
    lists: Lists = NO_LISTS,
    effort: Effort = USUAL,
    progress: Progress = unheard,
) -> Curve:
    """Of the threshold number ``threshold`` of ``policy``, from 0, the lowest. Raises `Refused` as `try_out`, and where the
    policy has no such threshold."""
    if not 0 <= threshold < len(policy.thresholds):
        raise Refused(
            f"{policy.name}: there is no threshold number {threshold + 1}; there are {len(policy.thresholds)}"
        )
    with window.asking():
        rules = window.rules(policy, lists, progress)
        today = policy.thresholds[threshold].score
        above = policy.thresholds[threshold + 1].score if threshold + 1 < len(policy.thresholds) else np.inf
        below = policy.thresholds[threshold - 1].score if threshold else 0.0
        low = max(np.nextafter(below, 1.0), min(today, _least(window)))
        book, holds = Book(), window.holds(policy.control_group)

        def sweep(block: Block) -> _Swept:
            weighed = weigh(block, policy, rules, low)
            score = block.score[weighed.positions]
            between = (score >= low) & (score < above)
            inside = weighed.at(between)
            sides = [
                decided(block, policy, inside._replace(level=np.full(len(inside.level), level, np.int8)), book, holds)
                for level in (threshold, threshold - 1)
            ]
            apart = decided(block, policy, weighed.at(~between), book, holds)
            others = compare(block, block.askable(policy), apart, book)
            swept_over = np.zeros(block.n, dtype=np.bool_)
            swept_over[inside.positions] = True
            outside = ~swept_over[others.positions]
            return _Swept(
                sums(rows_of(block, others.positions[outside], others.after[outside]), kinds_of(book)),
                score[between],
                rows_of(block, sides[0].positions, sides[0].decided),
                sides[1].decided,
            )

        swept = list(window.over(sweep))
        return _curve(policy, threshold, swept, book, whole_of(window, effort))


def _least(window: Window) -> float:
    """The score that some `MOST_ALERTED` of all rows reach: of some rows, evenly spread."""
    step = max(1, sum(block.n for block in window.blocks) // _SAMPLED)
    scores = np.concatenate([np.empty(0), *(block.score[::step] for block in window.blocks)])
    scores = scores[~np.isnan(scores)]
    return float(np.quantile(scores, 1 - MOST_ALERTED)) if len(scores) else 0.0


def _curve(policy: Policy, threshold: int, swept: Sequence[_Swept], book: Book, whole: Whole) -> Curve:
    kinds = kinds_of(book)
    score = np.concatenate([np.empty(0), *(each.score for each in swept)])
    on = _joined([each.on for each in swept])
    off = on._replace(decided=np.concatenate([np.empty(0, np.int32), *(each.off for each in swept)]))
    others = together([widened(each.others, len(book.entries)) for each in swept])
    points = _points(score, policy.thresholds[threshold].score)
    # a row speaks as from the threshold up from this point on
    first = len(points) - np.searchsorted(points[::-1], score, side="right")
    made = []
    at_points = zip(points.tolist(), _sums(on, off, first, others, kinds, len(points)), strict=True)
    for at, (found, who) in at_points:
        made.append(Point(at, side(found, who, book, kinds, whole)))
    today = points.tolist().index(policy.thresholds[threshold].score)
    return Curve(threshold=threshold, days=whole.days, points=made, today=today)


def _joined(parts: Sequence[Rows]) -> Rows:
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _points(score: NDArray[np.float64], today: float) -> NDArray[np.float64]:
    """Scores from high to low, dense where few transactions reach them: so many of them differ as people would tell apart."""
    ordered = np.sort(score)[::-1]
    if not len(ordered):
        return np.array([today])
    places = np.unique(np.geomspace(1, len(ordered), POINTS - 1).astype(np.int64)) - 1
    return np.unique(np.append(ordered[places], today))[::-1]


def _sums(
    on: Rows, off: Rows, first: NDArray[np.int64], others: Sums, kinds: Kinds, points: int
) -> Sequence[tuple[Sums, Concerned]]:
    """At each point."""
    size = len(kinds.alert)
    added, left = (_by_point(rows, first, size, points) for rows in (on, off))
    who = [
        _distinct(keys, _speaks(on, kinds, what), _speaks(off, kinds, what), first, there, points)
        for keys, what, there in (
            (on.card, "held", others.held),
            (on.customer, "genuine", others.genuine),
            (on.customer, "unknown", others.unknown),
        )
    ]
    made = []
    for point in range(points):
        parts = [
            base + plus[: point + 1].sum(axis=0) + minus[point + 1 :].sum(axis=0)
            for base, plus, minus in zip(others[:4], added, left, strict=True)
        ]
        concerned = Concerned(*(int(counts[point]) for counts in who))
        made.append((others._replace(number=parts[0], value=parts[1], risk=parts[2], insult=parts[3]), concerned))
    return made


def _by_point(rows: Rows, first: NDArray[np.int64], size: int, points: int) -> Sequence[NDArray[np.int64]]:
    """[points + 1, C, 3] of number, value, risk and insult: of the rows that speak otherwise from each point on."""
    cell = (first * size + rows.decided) * LABELS + rows.label
    return [
        cells(cell, weights, size * (points + 1)).reshape(points + 1, size, LABELS)
        for weights in (None, rows.value, rows.risk, rows.insult)
    ]


def _speaks(rows: Rows, kinds: Kinds, what: str) -> NDArray[np.bool_]:
    if what == "held":
        return kinds.held[rows.decided]
    disturbed: NDArray[np.bool_] = kinds.disturbing[rows.decided]
    found: NDArray[np.bool_] = disturbed & (rows.label == (1 if what == "genuine" else 0))
    return found


def _among(keys: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of ``keys`` are in ``others`` (rising)."""
    if not len(others):
        return np.zeros(len(keys), dtype=np.bool_)
    return np.equal(others[np.minimum(others.searchsorted(keys), len(others) - 1)], keys)


def _distinct(
    keys: NDArray[np.uint64],
    on: NDArray[np.bool_],
    off: NDArray[np.bool_],
    first: NDArray[np.int64],
    others: NDArray[np.uint64],
    points: int,
) -> NDArray[np.int64]:
    """int64[points]: of ``keys`` and ``others`` those of which any row speaks, each once. A row speaks from its ``first``
    point on where ``on``, before it where ``off``; those of ``others`` always."""
    rows = np.flatnonzero(on | off)
    rows = rows[~_among(keys[rows], others)]
    known = distinct(keys[rows])
    number = known.searchsorted(keys[rows])
    since = np.full(len(known), points, dtype=np.int64)
    until = np.zeros(len(known), dtype=np.int64)
    np.minimum.at(since, number[on[rows]], first[rows][on[rows]])
    np.maximum.at(until, number[off[rows]], first[rows][off[rows]])
    until = np.where(since <= until, points, until)  # without a gap
    ends = np.cumsum(np.bincount(until, minlength=points + 1)[: points + 1])[:points]
    begins = np.cumsum(np.bincount(np.where(until == points, points, since), minlength=points + 1))[:points]
    # those that end by then are silent until they begin again
    return np.asarray(len(others) + len(known) - ends + begins, dtype=np.int64)
