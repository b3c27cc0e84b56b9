"""One partition's log, in memory: batches in order, found by bisection, the oldest dropped when it grows too large."""

import asyncio
from bisect import bisect_left
from typing import Final, NamedTuple

import structlog

from pipeline.embedded import wire
from pipeline.embedded.batch import StoredRecord, UnreadableBatch, checked, placed, rebuilt, records
from pipeline.embedded.compaction import NewestByKey
from pipeline.embedded.producers import Producers

BATCH_OVERHEAD_BYTES: Final = 150
"""What Python keeps per batch besides its bytes: counted, or many one-record batches would take twice the limit."""

TRIM_TO: Final = 0.9
"""When full, drop down to this share of the limit at once, not one batch at every append."""

_log = structlog.get_logger("embedded.log")


class Appended(NamedTuple):
    """``offset`` of the batch's first record, −1 with an error."""

    error: int
    offset: int


class PartitionLog:
    """Append, read, find by time. ``limit_bytes`` bounds what is kept; a compacted log keeps the newest record of
    each key instead of the newest records, as far as the limit allows."""

    def __init__(self, name: str, limit_bytes: int, compacted: bool = False) -> None:
        self.start = 0
        self.end = 0
        self._name = name
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._batches: list[bytes] = []
        self._first_offsets: list[int] = []
        self._last_offsets: list[int] = []
        self._max_timestamps: list[int] = []
        self._producers = Producers()
        self._newest = NewestByKey() if compacted else None
        self._waiting: set[asyncio.Future[None]] = set()

    def append(self, raw: bytes) -> Appended:
        """Check a batch and add it, unless its producer has sent it before. Wakes whoever waits."""
        error, header = checked(raw)
        if header is None:
            return Appended(error, -1)
        verdict = self._producers.judge(header)
        if verdict.error:
            return Appended(verdict.error, -1)
        if verdict.offset is not None:
            return Appended(wire.NONE, verdict.offset)
        offset = self.end
        batch = placed(raw, offset)
        if self._newest is not None:
            try:
                found = records(batch)
            except UnreadableBatch as unreadable:
                return Appended(unreadable.code, -1)
            if any(record.key is None for record in found):
                return Appended(wire.INVALID_RECORD, -1)
            self._newest.note(found)
        self._add(batch, offset, offset + header.last_offset_delta, header.max_timestamp)
        self.end = offset + header.last_offset_delta + 1
        self._producers.remember(header, offset)
        self._keep_within_limit()
        self._wake()
        return Appended(wire.NONE, offset)

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Whole batches from the one that holds ``offset`` (or the next after it), at least one if there is any."""
        index = bisect_left(self._last_offsets, offset)
        if index == len(self._batches):
            return b""
        size = len(self._batches[index])
        stop = index + 1
        while stop < len(self._batches) and size + len(self._batches[stop]) <= limit_bytes:
            size += len(self._batches[stop])
            stop += 1
        return self._batches[index] if stop == index + 1 else b"".join(self._batches[index:stop])

    def at_time(self, timestamp_ms: int) -> tuple[int, int]:
        """(timestamp, offset) of the first record that is not older, (−1, −1) when there is none. For records this
        process can't decompress, of the first in their batch."""
        for index, newest in enumerate(self._max_timestamps):
            if newest < timestamp_ms:
                continue
            try:
                found = next(r for r in records(self._batches[index]) if r.timestamp >= timestamp_ms)
            except (UnreadableBatch, StopIteration):
                return newest, self._first_offsets[index]
            return found.timestamp, found.offset
        return -1, -1

    def watch(self, waiter: "asyncio.Future[None]") -> None:
        """``waiter`` is resolved at the next append."""
        self._waiting.add(waiter)

    def unwatch(self, waiter: "asyncio.Future[None]") -> None:
        self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            resolve(waiter)
        self._waiting.clear()

    def _add(self, batch: bytes, first: int, last: int, max_timestamp: int) -> None:
        self._batches.append(batch)
        self._first_offsets.append(first)
        self._last_offsets.append(last)
        self._max_timestamps.append(max_timestamp)
        self._bytes += len(batch) + BATCH_OVERHEAD_BYTES

    def _keep_within_limit(self) -> None:
        full = self._bytes > self._limit_bytes
        if self._newest is not None and (full or self._newest.due(self._bytes)):
            self._compact(self._newest)
        if self._bytes > self._limit_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        count = 0
        while self._bytes > self._limit_bytes * TRIM_TO and count < len(self._batches) - 1:
            self._bytes -= len(self._batches[count]) + BATCH_OVERHEAD_BYTES
            count += 1
        if self._newest is not None:
            lost = [record for batch in self._batches[:count] for record in records(batch)]
            for record in lost:
                self._newest.dropped(record)
            _log.warning("compacted partition full: its oldest keys are gone", partition=self._name, records=len(lost))
        for column in (self._batches, self._first_offsets, self._last_offsets, self._max_timestamps):
            del column[:count]
        if count:
            self.start = self._first_offsets[0]

    def _compact(self, newest: NewestByKey) -> None:
        """Write every batch anew with the records that still count. The newest batch stays as it is: a log's last
        offset must exist, or a reader would wait for it for ever."""
        old = list(zip(self._batches, self._first_offsets, self._last_offsets, self._max_timestamps, strict=True))
        for column in (self._batches, self._first_offsets, self._last_offsets, self._max_timestamps):
            column.clear()
        self._bytes = 0
        for batch, first, last, max_timestamp in old[:-1]:
            found = records(batch)
            kept: list[StoredRecord] = []
            for record in found:
                if newest.counts(record):
                    kept.append(record)
                else:
                    newest.dropped(record)
            if len(kept) == len(found):
                self._add(batch, first, last, max_timestamp)
            elif kept:
                self._add(rebuilt(first, kept), first, kept[-1].offset, max(record.timestamp for record in kept))
        self._add(*old[-1])
        newest.compacted(self.end)


def resolve(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
