"""One partition's transactions, scores and decisions, put together again by their offset in `transactions`.

The three topics are read beside each other, any of them ahead. Decisions lead: the first of each source offset is the
one that counts, whatever has none (dead letters, retransmissions) is no row. A decision waits for its transaction and
for its scores, and those behind it wait too, so rows come in the order of their offsets. All that remains undecided by
the records themselves is how long to wait for a score that may never come; `settle` knows.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from pipeline.core.archive_columns import ArchiveRow, Block, Told
from pipeline.core.archive_counters import names_and_fingerprints
from pipeline.core.archive_files import Place
from pipeline.core.currencies import Money
from pipeline.core.decision import HEADER_SOURCE_OFFSET, HEADER_SOURCE_TIMESTAMP
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.profile import CREDITS
from pipeline.core.scored import decode as decode_scored
from pipeline.core.topics import Record
from pipeline.core.transaction import Event, Refused, decode

MAX_AHEAD: Final = 100_000
"""Rows of one topic that may wait for the others, some 1 kB each; a partition that has its share of them is not read."""
LEAST_AHEAD: Final = 4_000
"""A share is never smaller: twice what the scorer may have on its way."""
SCORE_WAIT_MS: Final = 60_000
"""A decision whose scores have not come is kept without them when `scored` has been read so far beyond its time."""

Skipped = Literal["unreadable", "layout", "transaction_gone", "score_gone"]
SKIPPED: Final[tuple[Skipped, ...]] = ("unreadable", "layout", "transaction_gone", "score_gone")

_told = msgspec.json.Decoder(Told).decode


class _Decided(NamedTuple):
    offset: int
    timestamp_ms: int
    decided_ms: int
    next: int
    told: Told


class PartitionJoin:
    """Of one of ``partitions``, from ``place`` on. ``ready`` are rows that are whole, in order, to be taken from the front with
    `taken`; ``skipped`` counts what could not be had."""

    def __init__(self, money: Money, place: Place | None = None, partitions: int = 1) -> None:
        self._money = money
        self._most = max(LEAST_AHEAD, MAX_AHEAD // partitions)
        self.ready: list[ArchiveRow] = []
        self.skipped: dict[Skipped, int] = dict.fromkeys(SKIPPED, 0)
        self._transactions: dict[int, Record] = {}
        self._scores: dict[int, list[tuple[Block, int]]] = {}
        self._decisions: deque[_Decided] = deque()
        self._next = place.source if place else 0
        """Source offset: whatever lies below has its row already, or gets none."""
        self._transactions_until = 0
        self._scores_until = 0
        """Source offsets below these have been seen in `transactions` and `scored`, where they are there at all."""
        self._scored_next = place.scored if place else 0
        self._scored_read_ms = 0

    # --- what was read

    def transactions(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.offset >= self._first_wanted():
                self._transactions[record.offset] = record
            self._transactions_until = record.offset + 1

    def scored(self, records: Sequence[Record]) -> None:
        for record in records:
            self._scored_next = record.offset + 1
            self._scored_read_ms = max(self._scored_read_ms, record.timestamp)
            try:
                block, offsets = _block(record)
            except (msgspec.DecodeError, ValueError, IndexError):
                self.skipped["unreadable"] += 1
                continue
            wanted = self._first_wanted()
            for at_row, offset in enumerate(offsets):
                if offset >= wanted:
                    self._scores.setdefault(offset, []).append((block, at_row))
            if offsets:
                self._scores_until = max(self._scores_until, max(offsets) + 1)

    def scored_read_until(self, moment_ms: int) -> None:
        """`scored` was read to its end, as it was at ``moment_ms``."""
        self._scored_read_ms = max(self._scored_read_ms, moment_ms)

    def decisions(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                headers = dict(record.headers)
                offset, timestamp_ms = int(headers[HEADER_SOURCE_OFFSET]), int(headers[HEADER_SOURCE_TIMESTAMP])
                if offset < self._next:
                    continue  # a repeat: the first decision counts
                told = _told(record.value or b"")
            except (msgspec.DecodeError, KeyError, ValueError):
                self.skipped["unreadable"] += 1
                continue
            self._next = offset + 1
            self._decisions.append(_Decided(offset, timestamp_ms, record.timestamp, record.offset + 1, told))

    # --- what comes of it

    def settle(self) -> None:
        """Move what is whole by now to ``ready``."""
        while self._decisions:
            decided = self._decisions[0]
            offset = decided.offset
            if offset >= self._transactions_until:
                break
            record = self._transactions.get(offset)
            event = self._event(record) if record is not None else None
            block, at_row, same = None, 0, True
            if event is None or not _never_scored(event):
                found = self._score(decided)
                if found is None:
                    break
                block, at_row, same = found
            self._decisions.popleft()
            if event is None:
                self.skipped["transaction_gone"] += 1
            if not same:
                self.skipped["score_gone"] += 1
            if block is not None and block.matrix is None:
                self.skipped["layout"] += 1
            self.ready.append(
                ArchiveRow(offset, decided.timestamp_ms, decided.next, decided.told, event, block, at_row, same)
            )
        self._forget()

    def taken(self, count: int) -> None:
        """The first ``count`` rows of ``ready`` are written."""
        del self.ready[:count]

    def place_after(self, count: int) -> tuple[int, int]:
        """Offsets in `decisions` and `scored` at which to go on when the first ``count`` rows of ``ready`` are written."""
        waiting = [row.block.offset for row in self.ready[count:] if row.block is not None]
        waiting.extend(block.offset for found in self._scores.values() for block, _ in found)
        return self.ready[count - 1].next, min(waiting, default=self._scored_next)

    def ahead(self) -> tuple[bool, bool, bool]:
        """Of transactions, scored and decisions: whether so much waits here that no more should be read of it."""
        return (
            len(self._transactions) >= self._most,
            len(self._scores) >= self._most,
            len(self._decisions) >= self._most,
        )

    @property
    def oldest_ms(self) -> int | None:
        """The log's timestamp of the oldest transaction that is decided and not written; None: there is none."""
        if self.ready:
            return self.ready[0].timestamp_ms
        return self._decisions[0].timestamp_ms if self._decisions else None

    def _first_wanted(self) -> int:
        return self._decisions[0].offset if self._decisions else self._next

    def _score(self, decided: _Decided) -> tuple[Block | None, int, bool] | None:
        """The scores under the decision's versions; None: they may still come. A transaction without any, though later
        ones have theirs, is never scored: which ones are is the same each time."""
        found = self._scores.get(decided.offset, ())
        versions = (decided.told.policy_version, decided.told.model_version)
        for block, at_row in found:
            if block.versions == versions:
                return block, at_row, True
        if not found and self._scores_until > decided.offset:
            return None, 0, True
        if self._scored_read_ms <= decided.decided_ms + SCORE_WAIT_MS and len(self._scores) < self._most:
            return None
        return (*found[-1], False) if found else (None, 0, True)

    def _forget(self) -> None:
        """Drop what no decision will ask for any more."""
        wanted = self._first_wanted()
        for offset in _below(self._transactions, wanted):
            del self._transactions[offset]
        for offset in _below(self._scores, wanted):
            del self._scores[offset]

    def _event(self, record: Record) -> Event | None:
        try:
            return decode(record.value, record.timestamp, self._money)
        except Refused:
            return None


def _never_scored(event: Event) -> bool:
    return event.transaction.type == "reversal" or event.transaction.kind in CREDITS


def _below(held: Mapping[int, object], wanted: int) -> list[int]:
    """The keys below ``wanted``; they came in rising order, but for repeats."""
    found = []
    for offset in held:
        if offset >= wanted:
            break
        found.append(offset)
    return found


def _block(record: Record) -> tuple[Block, list[int]]:
    """A record of `scored`, and its rows' source offsets. Raises ValueError where its columns do not fit together."""
    scored = decode_scored(record.value or b"")
    offsets = scored.source_offsets().tolist()
    raw = np.frombuffer(scored.raw, dtype="<f8")
    matrix = scored.matrix() if scored.layout == LAYOUT and offsets else None
    if len(raw) != len(offsets) or (matrix is not None and matrix.shape != (len(offsets), len(CATALOGUE))):
        raise ValueError("columns of different lengths")
    versions = (scored.policy_version, scored.model_version)
    shadow = scored.shadow_matrix() if scored.shadows and offsets else None
    counters = names_and_fingerprints(scored.counters, scored.counter_fingerprints)
    counted = scored.counter_matrix() if counters and offsets else None
    tags = scored.tags_held() if scored.tags and offsets else None
    return Block(
        record.offset, scored.layout, versions, matrix, raw, scored.shadows, shadow, counters, counted, tags
    ), offsets
