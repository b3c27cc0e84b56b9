"""The figures of decisions: sums over rows, added up over blocks in any order with the same result."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.decision import Outcome
from pipeline.lab.whatif.answer import Effort, Known, Side
from pipeline.lab.whatif.block import Block
from pipeline.lab.whatif.deciding import Book, recorded_numbers
from pipeline.lab.whatif.distinct import distinct

LABELS: Final = 3
"""Unknown, genuine, fraud: the columns of sums."""
_UNKNOWN, _GENUINE, _FRAUD = range(LABELS)
_DISTURBING: Final = ("verify", "hold", "decline")
_MILLION: Final = 1_000_000
_DAYS_HOURS: Final = 60.0


class Kinds(NamedTuple):
    """Which numbers of a `Book` are such: bool each."""

    alert: NDArray[np.bool_]
    contact: NDArray[np.bool_]
    call: NDArray[np.bool_]
    review: NDArray[np.bool_]
    held: NDArray[np.bool_]
    disturbing: NDArray[np.bool_]


def kinds_of(book: Book) -> Kinds:
    return Kinds(
        book.where(lambda outcome, _: outcome != Outcome.approve.name),
        book.where(lambda _, actions: actions[2] != "none"),
        book.where(lambda _, actions: actions[2] == "verify"),
        book.where(lambda _, actions: actions[3] != "none"),
        book.where(lambda _, actions: actions[1] != "none"),
        book.where(lambda outcome, _: outcome in _DISTURBING),
    )


class Rows(NamedTuple):
    """Columns of rows, of equal length: what is decided about each by number, its label, and what it weighs."""

    decided: NDArray[np.int32]
    label: NDArray[np.int8]
    value: NDArray[Any]
    risk: NDArray[np.int64]
    insult: NDArray[np.int64]
    card: NDArray[np.uint64]
    customer: NDArray[np.uint64]


def rows_of(block: Block, positions: NDArray[np.int64], decided: NDArray[np.int32]) -> Rows:
    label = block.fraud[positions] + np.int8(1)
    return Rows(
        decided, label, block.value[positions], block.risk(positions), block.insult(positions),
        block.card[positions], block.customer[positions],
    )  # fmt: skip


def recorded_rows(block: Block, book: Book) -> Rows:
    """Those that were more than plainly approved."""
    numbers = recorded_numbers(block, book)[block.recorded]
    positions = np.flatnonzero(numbers)
    return rows_of(block, positions, numbers[positions])


class Sums(NamedTuple):
    """Of rows: by what is decided and label, [C, 3]: ``number``, ``value``, ``risk``, ``insult``; and who they concern:
    ``held`` cards, customers ``genuine`` and ``unknown`` disturbed, digests, each once."""

    number: NDArray[np.int64]
    value: NDArray[np.int64]
    risk: NDArray[np.int64]
    insult: NDArray[np.int64]
    held: NDArray[np.uint64]
    genuine: NDArray[np.uint64]
    unknown: NDArray[np.uint64]


def sums(rows: Rows, kinds: Kinds) -> Sums:
    size = len(kinds.alert)
    cell = rows.decided.astype(np.int64) * LABELS + rows.label
    disturbed = kinds.disturbing[rows.decided]
    return Sums(
        cells(cell, None, size),
        cells(cell, rows.value, size),
        cells(cell, rows.risk, size),
        cells(cell, rows.insult, size),
        distinct(rows.card[kinds.held[rows.decided]]),
        distinct(rows.customer[disturbed & (rows.label == _GENUINE)]),
        distinct(rows.customer[disturbed & (rows.label == _UNKNOWN)]),
    )


def widened(found: Sums, size: int) -> Sums:
    """With so many decisions: there are none of the new ones."""
    more = ((0, size - len(found.number)), (0, 0))
    number, value, risk, insult = (np.pad(each, more) for each in found[:4])
    return found._replace(number=number, value=value, risk=risk, insult=insult)


def cells(cell: NDArray[np.int64], weights: NDArray[Any] | None, size: int) -> NDArray[np.int64]:
    """[size, 3]. Sums are exact below 2**53: float64 holds each whole number up to there."""
    return np.bincount(cell, weights, size * LABELS).astype(np.int64).reshape(size, LABELS)


def together(parts: Sequence[Sums]) -> Sums:
    """``parts`` know the same decisions."""
    number, value, risk, insult = (np.sum([part[place] for part in parts], axis=0) for place in range(4))
    held, genuine, unknown = (distinct(np.concatenate([part[place] for part in parts])) for place in range(4, 7))
    return Sums(number, value, risk, insult, held, genuine, unknown)


class Whole(NamedTuple):
    """Of all rows that were looked at, and what work people have."""

    transactions: int
    cards: int
    days: int
    frauds: Known
    expected_loss: int
    effort: Effort


class Concerned(NamedTuple):
    """Distinct cards held, customers disturbed."""

    held: int
    genuine: int
    unknown: int


def concerned(found: Sums) -> Concerned:
    return Concerned(len(found.held), len(found.genuine), len(found.unknown))


def side(found: Sums, who: Concerned, book: Book, kinds: Kinds, whole: Whole) -> Side:
    """``found``: of all rows but plain approvals; of these nothing is needed."""
    number = found.number.sum(axis=1)
    by_outcome = dict.fromkeys((each.name for each in Outcome), 0)
    for (outcome, _), count in zip(book.entries, number.tolist(), strict=True):
        by_outcome[outcome] = by_outcome.get(outcome, 0) + count
    by_outcome[Outcome.approve.name] += whole.transactions - int(number.sum())
    alerts = found.number[kinds.alert].sum(axis=0)
    caught = Known(int(alerts[_FRAUD]), int(found.value[kinds.alert, _FRAUD].sum()))
    contacts, reviews = int(number[kinds.contact].sum()), int(number[kinds.review].sum())
    return Side(
        outcomes=by_outcome,
        alerts=int(alerts.sum()),
        alerts_per_10000=_rate(int(alerts.sum()), whole.transactions, 10_000),
        alerts_genuine=int(alerts[_GENUINE]),
        alerts_unknown=int(alerts[_UNKNOWN]),
        reviews=reviews,
        contacts=contacts,
        contacts_a_day=_rate(contacts, whole.days, 1),
        agent_hours_a_day=_rate(
            agent_minutes(reviews, int(number[kinds.call].sum()), whole.effort), whole.days, 1 / _DAYS_HOURS
        ),
        held=who.held,
        held_per_10000_cards=_rate(who.held, whole.cards, 10_000),
        caught=caught,
        missed=Known(whole.frauds.number - caught.number, whole.frauds.value - caught.value),
        disturbed_genuine=who.genuine,
        disturbed_unknown=who.unknown,
        expected_loss=whole.expected_loss - int(found.risk[kinds.alert].sum()),
        expected_insults=int(found.insult[kinds.disturbing].sum()) / _MILLION,
    )


def agent_minutes(reviews: int, calls: int, effort: Effort) -> float:
    return reviews * effort.review_minutes + calls * effort.agent_share * effort.call_minutes


def _rate(count: float, of: int, times: float) -> float:
    return count / of * times if of else 0.0
