"""What was decided beside what would be: the rows of a block that an answer speaks of, and what changes."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.lab.whatif.answer import Move
from pipeline.lab.whatif.block import FRAUD, UNKNOWN, Block
from pipeline.lab.whatif.deciding import Book, Decided, recorded_numbers


class Compared(NamedTuple):
    """Rows, by position, that were or would be more than plainly approved; ``before`` and ``after``: their numbers in the
    `Book`."""

    positions: NDArray[np.int64]
    before: NDArray[np.int32]
    after: NDArray[np.int32]


def compare(block: Block, asked: NDArray[np.bool_], found: Decided, book: Book) -> Compared:
    """``asked``: of each of the block's ways, whether its rows are decided again; those that are not in ``found`` are then
    approved, all others stay as they were."""
    recorded = recorded_numbers(block, book)
    more = recorded != 0
    after = np.where(asked, 0, recorded).astype(np.int32)[block.recorded]
    after[found.positions] = found.decided
    positions = np.flatnonzero(more[block.recorded] | (after != 0)) if more.any() else np.flatnonzero(after)
    return Compared(positions, recorded[block.recorded[positions]], after[positions])


def moves(counted: Counter[tuple[int, int, int]], book: Book) -> list[Move]:
    """``counted``: (before, after, label) of what changed."""
    entries = book.entries
    by_outcome: dict[tuple[str, str], Counter[int]] = {}
    for (before, after, label), count in counted.items():
        by_outcome.setdefault((entries[before][0], entries[after][0]), Counter())[label] += count
    made = [Move(before, after, found.total(), found[FRAUD], found[0]) for (before, after), found in by_outcome.items()]
    return sorted(made, key=lambda move: (-move.number, move.before, move.after))


def changed(block: Block, rows: Compared) -> tuple[Counter[tuple[int, int, int]], NDArray[np.int64]]:
    """(before, after, label) of what changes, counted; and where in ``rows`` it is."""
    places = np.flatnonzero(rows.before != rows.after)
    label = block.fraud[rows.positions[places]].astype(np.int64)
    size = int(max(rows.before.max(initial=0), rows.after.max(initial=0))) + 1
    cell = (rows.before[places].astype(np.int64) * size + rows.after[places]) * 3 + label - UNKNOWN
    counts = np.bincount(cell, minlength=1)
    counted = Counter(
        {
            (one // 3 // size, one // 3 % size, one % 3 + UNKNOWN): int(counts[one])
            for one in np.flatnonzero(counts).tolist()
        }
    )
    return counted, places


def greatest(block: Block, positions: NDArray[np.int64], top: int) -> NDArray[np.int64]:
    """Which ``top`` of ``positions`` (rising) are worth most, the first of equal ones first: places in ``positions``."""
    value = block.value[positions].astype(np.int64)
    if len(value) > top:
        least = np.partition(value, len(value) - top)[len(value) - top] if top else np.iinfo(np.int64).max
        kept = np.flatnonzero(value >= least)
    else:
        kept = np.arange(len(value))
    return kept[np.argsort(-value[kept], kind="stable")][:top]


def reasons_at(found: Decided, position: int) -> Sequence[str]:
    """Of the row there; none where nothing speaks about it."""
    place = int(np.searchsorted(found.positions, position))
    if place < len(found.positions) and found.positions[place] == position:
        return found.reasons[int(found.way[place])]
    return ()
