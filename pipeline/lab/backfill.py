"""Months of history into card profiles, before going live: the scorer's own decoding and profile code, its own fenced
checkpoint, without models and decisions.

First all of the history goes into rows in memory, as a scorer holds them; then each partition is looked at, and only when
all of them may be written they are, each in one step. Rows depend on nothing but a card's transactions in order, so after
an interruption the same history makes the same rows again, and partitions that have them already are left alone.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.adapters.memory import StoredRecord
from pipeline.core.advancing import advance_part
from pipeline.core.counters import Counters, Counting
from pipeline.core.currencies import Money
from pipeline.core.features import FEATURES
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Part, Row
from pipeline.core.scoring import decode_poll
from pipeline.ports import ProfileStore, StoreDown, Taken
from pipeline.roles.scorer.beside import rows_and_others
from pipeline.roles.scorer.dormant import newest_events
from pipeline.roles.scorer.owned import OwnedPartition


class BackfillRefused(Exception):
    """Why nothing was written, or not all: a sentence for the operator."""


class PastRecord(NamedTuple):
    """One transaction of the history: the message, and when it reached the log (unix milliseconds)."""

    value: bytes
    timestamp_ms: int


@dataclass(slots=True)
class Rebuilt:
    """``rows`` partition → card → row; ``refused`` by reason; ``repeats`` of a transaction of its card by id."""

    rows: dict[int, dict[bytes, bytes]]
    read: int = 0
    repeats: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def newest(self) -> float:
        """Unix seconds of the newest event in any row, −∞ where there is none."""
        return max((_newest(rows, number) for number, rows in self.rows.items()), default=float("-inf"))


class Filled(NamedTuple):
    """Partitions that were written, and those that had these rows already."""

    written: Sequence[int]
    there: Sequence[int]


def rebuild(
    history: Iterable[Sequence[PastRecord]],
    money: Money,
    counters: Counters,
    partitions: int,
    partition_of: Callable[[bytes], int],
    progress: Callable[[int], None],
) -> Rebuilt:
    """Rows out of ``history``: pieces of transactions, those of each card in their order; with them the policy's own
    ``counters``."""
    cards: dict[bytes, bytes] = {}
    result = Rebuilt({number: {} for number in range(partitions)})
    for piece in history:
        records = [
            StoredRecord(0, result.read + place, past.timestamp_ms, None, past.value)
            for place, past in enumerate(piece)
        ]
        part = Part(0, records, cards, {})
        decoded = decode_poll([part], money, _anywhere, time.perf_counter)
        matrix = np.empty((len(records), len(FEATURES)))
        rows: list[Row] = []
        events = decoded.events[0]
        counting = None
        if counters.names:
            values = np.empty((len(records), len(counters.names)))
            counting = Counting(counters, counters.matches([event for _, event, _ in events]), values)
        result.repeats += advance_part(cards, {}, events, rows, matrix, counting)
        result.refused.update(decoded.result.refusals)
        result.read += len(records)
        progress(result.read)
    for card, row in cards.items():
        result.rows[partition_of(card)][card] = row
    return result


def _anywhere(card: bytes) -> int:
    return 0


async def fill(store: ProfileStore, rebuilt: Rebuilt, next_offsets: Mapping[int, int]) -> Filled:
    """Write ``rebuilt``, with the offsets in `transactions` that scorers go on from. Raises BackfillRefused when a
    partition has other rows, or a scorer came between; StoreDown."""
    found = {number: await _look(store, number, rows) for number, rows in rebuilt.rows.items()}
    written = []
    for number, place in found.items():
        if place is not None:
            await put_rows(store, number, place, rebuilt.rows[number], next_offsets[number])
            written.append(number)
    return Filled(written, [number for number, place in found.items() if place is None])


async def _look(store: ProfileStore, partition: int, rows: Mapping[bytes, bytes]) -> Taken | None:
    """The partition's place, None when it holds ``rows`` already. Raises BackfillRefused when it holds others."""
    place = await settled(store, partition)
    there: dict[bytes, bytes] = {}
    async for some in store.load(partition):
        there.update(rows_and_others(some)[0])
    if place.next_offset is None and not there:
        return place
    if there == rows:
        return None
    newest = _newest(there, partition)
    if newest > _newest(rows, partition):
        raise BackfillRefused(
            f"partition {partition} holds rows up to {rfc3339(newest)}, newer than this history: scorers were here. "
            "A history is filled in before they begin; nothing was written"
        )
    raise BackfillRefused(
        f"partition {partition} holds {len(there)} rows of another history: fill into an empty store, or delete the keys "
        "profiles:* of this installation first; nothing was written"
    )


async def settled(store: ProfileStore, partition: int) -> Taken:
    """The partition's place. Raises StoreDown."""
    try:
        return await store.position(partition)
    except StoreDown:  # or a save broke off after it was committed: an owner puts the rest of it in place
        await store.take(partition, secrets.token_hex(16))
        return await store.position(partition)


async def put_rows(
    store: ProfileStore, partition: int, place: Taken, rows: dict[bytes, bytes], next_offset: int
) -> None:
    """Store ``rows`` in one step. Raises BackfillRefused when the partition is not at ``place`` any more."""
    taken = await store.take(partition, secrets.token_hex(16))
    if (taken.previous_token or "", taken.sequence) != (place.token, place.sequence):
        raise BackfillRefused(
            f"partition {partition} was taken by a scorer meanwhile: stop the scorers, empty the store and fill it again"
        )
    owned = OwnedPartition(partition, taken.token, taken.sequence, None)
    owned.dirty, owned.next = rows, next_offset
    if not await owned.save(store):
        raise BackfillRefused(
            f"partition {partition} was not written: the store is down, or a scorer took it. Run the same command again"
        )


def _newest(rows: Mapping[bytes, bytes], partition: int) -> float:
    return float(newest_events(rows.values(), partition).max(initial=float("-inf"))) if rows else float("-inf")
