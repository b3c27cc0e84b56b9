"""Some files of the archive, kept open: the columns that every answer needs, and those that rules asked lately."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.archive_counters import column_of
from pipeline.core.archive_files import Piece
from pipeline.core.control_group import ControlGroup
from pipeline.core.decision import APPROVE, Outcome
from pipeline.core.features import LAYOUT
from pipeline.core.policy import Policy
from pipeline.lab.whatif.positions import Hits
from pipeline.ports_archive import Coded, KnownRows, PastRows, RecordedAs

UNKNOWN: Final = -1
FRAUD: Final = 1
"""In `Block.fraud`; 0: known to be genuine."""

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Partitions and source offsets."""
Judged = tuple[str, tuple[str, str, str, str, str | None]]
"""An outcome, and the actions on transaction, card, contact and queue, with the scope."""
PLAIN: Final[Judged] = (
    Outcome.approve.name,
    (APPROVE.transaction, APPROVE.card, APPROVE.contact, APPROVE.queue, None),
)


class Block:
    """Rows of ``pieces``, by position. ``hits``: of each rule and part of a rule asked lately the rows it hits; ``columns``: what rules asked; ``drawn``: for each control group the positions drawn so far, and whom it holds."""

    def __init__(self, pieces: Sequence[Piece], rows: PastRows) -> None:
        self.pieces = tuple(pieces)
        self.n = len(rows.score)
        self.ways = rows.ways
        self.recorded, self.score = rows.recorded, rows.score
        self.value = _narrow(rows.value)
        self.card, self.customer = rows.card, rows.customer
        self.fraud = np.full(self.n, UNKNOWN, dtype=np.int8)
        self.labelled = np.empty(0, dtype=np.int64)
        self.fraud_delays_s = np.empty(0)
        self.expected_loss = 0
        self.hits: dict[Any, Hits] = {}
        self.columns: dict[Any, Any] = {}
        self.drawn: dict[ControlGroup, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        self._starts = rows.starts
        self._offsets = rows.offsets
        self._ends = np.append(rows.starts[1:], self.n)
        self.counts = np.bincount(rows.recorded, minlength=len(rows.ways))

    def know(self, known: KnownRows) -> None:
        """From now on these are the labels."""
        positions = self.positions((known.partitions, known.offsets))
        self.fraud = np.full(self.n, UNKNOWN, dtype=np.int8)
        self.fraud[positions] = known.fraud
        self.labelled = np.unique(positions)
        self.fraud_delays_s = known.delay_s[known.fraud]
        self._learn_loss()

    def positions(self, places: Places) -> NDArray[np.int64]:
        """Of rows that are all here."""
        partitions, offsets = places
        found = np.empty(len(offsets), dtype=np.int64)
        for each, start, there in zip(self.pieces, self._starts.tolist(), self._offsets, strict=True):
            mine = (partitions == each.partition) & (offsets >= each.first) & (offsets <= each.last)
            if mine.any():
                wanted = offsets[mine]
                found[mine] = start + (wanted - each.first if there is None else there.searchsorted(wanted))
        return found

    def here(self, places: Places) -> NDArray[np.bool_]:
        """Which of them lie in these files."""
        partitions, offsets = places
        found = np.zeros(len(offsets), dtype=np.bool_)
        for each in self.pieces:
            found |= (partitions == each.partition) & (offsets >= each.first) & (offsets <= each.last)
        return found

    def places(self, positions: NDArray[np.int64]) -> Places:
        # a file without rows begins where the next one does: the last that begins there is the one that has it
        number = np.searchsorted(self._starts, positions, side="right") - 1
        partitions = np.array([each.partition for each in self.pieces], dtype=np.int64)[number]
        offsets = np.empty(len(positions), dtype=np.int64)
        for one in np.unique(number).tolist():
            mine, there = number == one, self._offsets[one]
            steps = positions[mine] - self._starts[one]
            offsets[mine] = self.pieces[one].first + steps if there is None else there[steps]
        return partitions, offsets

    def askable(self, policy: Policy) -> NDArray[np.bool_]:
        """Of each of ``ways``, whether its rows can be asked by ``policy``."""
        fingerprints = policy.asked_counters.values()
        return np.array(
            [
                askable(way) and all(column_of(way.counters, each) is not None for each in fingerprints)
                for way in self.ways
            ],
            dtype=np.bool_,
        )

    def risk(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Minor units that are expected to be lost with each: a known fraud's worth, nothing of a known genuine one, else
        score × worth. A missing score counts as 0."""
        score, value, fraud = self.score[positions], self.value[positions], self.fraud[positions]
        expected = np.rint(np.nan_to_num(score) * value).astype(np.int64)
        return np.where(fraud == UNKNOWN, expected, np.where(fraud == FRAUD, value, 0)).astype(np.int64)

    def insult(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """How likely each is genuine, in millionths: whole numbers, so that sums come out alike in any order."""
        score, fraud = self.score[positions], self.fraud[positions]
        likely = np.rint((1 - np.nan_to_num(score)) * 1_000_000).astype(np.int64)
        return np.where(fraud == UNKNOWN, likely, np.where(fraud == FRAUD, 0, 1_000_000)).astype(np.int64)

    def _learn_loss(self) -> None:
        at_a_time = 1 << 17
        self.expected_loss = sum(
            int(self.risk(np.arange(start, min(start + at_a_time, self.n))).sum())
            for start in range(0, self.n, at_a_time)
        )

    @property
    def kept_bytes(self) -> int:
        """Of the columns that rules asked."""
        return sum(column_bytes(each) for each in self.columns.values())


def askable(way: RecordedAs) -> bool:
    """Whether such rows have the features and the worth that deciding needs."""
    return way.scored and way.layout == LAYOUT and way.priced


def recorded_as(way: RecordedAs) -> Judged:
    return way.outcome, way.actions


def narrow(column: NDArray[np.float64] | Coded) -> Any:
    """``column`` in less memory where nothing is lost by it."""
    if isinstance(column, Coded):
        small = np.int8 if len(column.words) < 128 else np.int16 if len(column.words) < 32_768 else np.int32
        return Coded(column.codes.astype(small), column.words)
    half = column.astype(np.float32)
    return half if np.array_equal(half, column, equal_nan=True) else column


def column_bytes(column: Any) -> int:
    return int(column.codes.nbytes if isinstance(column, Coded) else column.nbytes)


def wide(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as rules take them."""
    return {
        name: each if isinstance(each, Coded) else each.astype(np.float64, copy=False) for name, each in columns.items()
    }


def _narrow(value: NDArray[np.int64]) -> NDArray[Any]:
    fits = len(value) and value.min() >= 0 and value.max() < 2**32
    return value.astype(np.uint32) if fits else value
