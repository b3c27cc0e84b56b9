"""A candidate policy, or another model, tried on past decisions.

With a policy alone, an open window tells which thresholds and rules hit, and the scorer's code what they amount to. With a
model the rows are scored again in pieces, by the scorer's code throughout, and decided by the candidate, or each by its own
policy.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.scorer import Model
from pipeline.core.lists import Lists
from pipeline.core.policy import Policy
from pipeline.lab.whatif.answer import USUAL, Answer, Change, Effort, Known
from pipeline.lab.whatif.block import FRAUD, UNKNOWN, Block, askable
from pipeline.lab.whatif.comparing import changed, compare, greatest, moves, reasons_at
from pipeline.lab.whatif.deciding import Book, Decided, decided, weigh
from pipeline.lab.whatif.rescoring import Means, decided_again
from pipeline.lab.whatif.tally import Sums, Whole, concerned, kinds_of, rows_of, side, sums, together, widened
from pipeline.lab.whatif.window import Progress, Window, unheard

_DELAY_QUANTILE = 0.9
_DAY_S = 86_400.0


class Question(NamedTuple):
    """``policy`` None: each row's own; ``model`` with its version, None: the scores as they were. The ``top`` greatest
    changes are told one by one."""

    policy: Policy | None
    model: tuple[str, Model] | None = None
    top: int = 20
    effort: Effort = USUAL


class _Candidate(NamedTuple):
    """A change that may be told: its worth, where it is, its outcomes by number, reasons and label."""

    value: int
    spot: tuple[int, int]
    before: int
    after: int
    reasons: Sequence[str]
    label: int


class _Found(NamedTuple):
    """Of a block: what would be decided, what changes (see `changed`), and the greatest changes."""

    sums: Sums
    changed: Counter[tuple[int, int, int]]
    candidates: Sequence[_Candidate]


def try_out(question: Question, window: Window, means: Means, progress: Progress = unheard) -> Answer:
    """Raises `Refused` where past rows do not hold what is asked for, OSError where they cannot be read."""
    with window.asking():
        book, before = window.recorded()
        policy = question.policy
        if question.model is not None:
            asked = decided_again(policy, question.model[1], window, means, book, progress)
            stay = [np.zeros(len(block.ways), dtype=np.bool_) for block, _ in asked]
            found = [
                _found(block, again, none, book, question.top) for (block, again), none in zip(asked, stay, strict=True)
            ]
        else:
            assert policy is not None, "a question asks for a policy, a model or both"
            found = _by_policy(policy, window, means.lists, book, progress, question.top)
        return _answer(question, window, found, before, book)


def _by_policy(policy: Policy, window: Window, lists: Lists, book: Book, progress: Progress, top: int) -> list[_Found]:
    rules = window.rules(policy, lists, progress)
    holds = window.holds(policy.control_group)

    def made(block: Block) -> _Found:
        again = decided(block, policy, weigh(block, policy, rules), book, holds)
        return _found(block, again, block.askable(policy), book, top)

    return list(window.over(made))


def _found(block: Block, again: Decided, asked: NDArray[np.bool_], book: Book, top: int) -> _Found:
    rows = compare(block, asked, again, book)
    speak = rows.after != 0
    found = sums(rows_of(block, rows.positions[speak], rows.after[speak]), kinds_of(book))
    counted, where = changed(block, rows)
    chosen = where[greatest(block, rows.positions[where], top)]
    positions = rows.positions[chosen]
    partitions, offsets = (each.tolist() for each in block.places(positions))
    candidates = [
        _Candidate(
            int(block.value[position]), spot, int(rows.before[row]), int(rows.after[row]), reasons_at(again, position),
            int(block.fraud[position]),
        )
        for position, row, spot in zip(positions.tolist(), chosen.tolist(), zip(partitions, offsets, strict=True), strict=True)
    ]  # fmt: skip
    return _Found(found, counted, candidates)


# --- the answer


def whole_of(window: Window, effort: Effort) -> Whole:
    """Of all rows of ``window``."""
    blocks = window.blocks
    frauds = [(int((known == FRAUD).sum()), int(block.value[block.labelled[known == FRAUD]].sum(dtype=np.int64)))
              for block in blocks for known in [block.fraud[block.labelled]]]  # fmt: skip
    return Whole(
        sum(block.n for block in blocks),
        window.cards,
        len({each.day for block in blocks for each in block.pieces if block.n}),
        Known(sum(number for number, _ in frauds), sum(value for _, value in frauds)),
        sum(block.expected_loss for block in blocks),
        effort,
    )


def _answer(question: Question, window: Window, found: Sequence[_Found], before: Sums, book: Book) -> Answer:
    whole, kinds = whole_of(window, question.effort), kinds_of(book)
    size = len(book.entries)
    before, after = widened(before, size), together([widened(one.sums, size) for one in found])
    counted = sum((one.changed for one in found), Counter[tuple[int, int, int]]())
    delays = np.concatenate([block.fraud_delays_s for block in window.blocks]) if window.blocks else np.empty(0)
    policy = question.policy
    return Answer(
        policy=None if policy is None else policy.version,
        lists=[] if policy is None else sorted({use.name for use in policy.lists}),
        model=None if question.model is None else question.model[0],
        first=window.first.isoformat(),
        last=window.last.isoformat(),
        days=whole.days,
        transactions=whole.transactions,
        cards=whole.cards,
        as_recorded=sum(_as_recorded(block, policy) for block in window.blocks),
        known_at=datetime.fromtimestamp(window.known_at_ms / 1000, UTC).isoformat(timespec="seconds"),
        labels=sum(len(block.labelled) for block in window.blocks),
        frauds=whole.frauds,
        label_delay_days=float(np.quantile(delays, _DELAY_QUANTILE)) / _DAY_S if len(delays) else None,
        before=side(before, concerned(before), book, kinds, whole),
        after=side(after, concerned(after), book, kinds, whole),
        changed=counted.total(),
        moves=moves(counted, book),
        changes=_changes(found, window, question.top, book),
    )


def _as_recorded(block: Block, policy: Policy | None) -> int:
    again = [askable(way) for way in block.ways] if policy is None else block.askable(policy).tolist()
    counts = zip(block.ways, block.counts.tolist(), again, strict=True)
    return sum(count for way, count, asked in counts if way.scored and not asked)


def _changes(found: Sequence[_Found], window: Window, top: int, book: Book) -> list[Change]:
    """The ``top`` greatest of all blocks."""
    every = sorted(chain.from_iterable(one.candidates for one in found), key=lambda each: (-each.value, each.spot))[
        :top
    ]
    told = _told(window, [each.spot for each in every])
    entries = book.entries
    return [
        Change(
            *told[each.spot], each.value, entries[each.before][0], entries[each.after][0], list(each.reasons),
            None if each.label == UNKNOWN else each.label == FRAUD,
        )
        for each in every
    ]  # fmt: skip


def _told(window: Window, spots: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], tuple[str, str, str]]:
    """Id, card and time of rows by partition and offset."""
    if not spots:
        return {}
    pieces = list(chain.from_iterable(block.pieces for block in window.blocks))
    partitions, offsets = (np.array(each, dtype=np.int64) for each in zip(*spots, strict=True))
    rows = window.fields(pieces, partitions, offsets, ("id", "card", "time"))
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
