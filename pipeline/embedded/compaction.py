"""Which records of a compacted partition still count: the newest of each key.

A record without a value (a tombstone) deletes its key. It outlives one compaction, so that a reader who has already
passed the deleted value has time to see the deletion, and goes with the next.
"""

from collections.abc import Iterable
from typing import Final

from pipeline.embedded.batch import StoredRecord

SUPERSEDED_SHARE: Final = 0.5
"""Compact when more than this share of the partition's bytes no longer counts: each compaction then at least halves
the log, so its cost is spread over the writes before it."""

SUPERSEDED_MIN_BYTES: Final = 64 << 10
"""Below this, compacting gains nothing worth its while."""


class NewestByKey:
    """For each key the offset and size of its newest record, and how many bytes no longer count."""

    def __init__(self) -> None:
        self._newest: dict[bytes, tuple[int, int]] = {}
        self._superseded_bytes = 0
        self._compacted_to = 0

    def note(self, records: Iterable[StoredRecord]) -> None:
        """Records were appended. Each has a key (the log refuses those without)."""
        for record in records:
            assert record.key is not None
            size = len(record.key) + len(record.value or b"")
            _, old_size = self._newest.get(record.key, (0, 0))
            self._superseded_bytes += old_size + (size if record.value is None else 0)
            self._newest[record.key] = (record.offset, 0 if record.value is None else size)

    def due(self, log_bytes: int) -> bool:
        return self._superseded_bytes > max(SUPERSEDED_MIN_BYTES, SUPERSEDED_SHARE * log_bytes)

    def counts(self, record: StoredRecord) -> bool:
        """Does the record outlive a compaction?"""
        assert record.key is not None
        if self._newest.get(record.key, (-1, 0))[0] != record.offset:
            return False
        return record.value is not None or record.offset >= self._compacted_to

    def dropped(self, record: StoredRecord) -> None:
        """The log no longer has this record."""
        assert record.key is not None
        if self._newest.get(record.key, (-1, 0))[0] == record.offset:
            del self._newest[record.key]

    def compacted(self, end: int) -> None:
        """A compaction is over; ``end`` is the offset after the newest record."""
        self._superseded_bytes = 0
        self._compacted_to = end
