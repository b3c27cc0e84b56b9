"""How much of a busy log the learner takes on: all of it up to a rate, a fixed share of the ids above it.

The rate is read off the log's own timestamps, never off the learner's speed, and the choice off the id: a learner
that reads the same log again learns the same rows.
"""

from collections.abc import Sequence
from zlib import crc32

_HASHES = 2**32


class Carry:
    """The limit for one partition, ``max_rate`` rows per second of log time."""

    def __init__(self, max_rate: float) -> None:
        self._max_rate = max_rate
        self._second = -1
        self._before = 0
        self._rows = 0

    def keep(self, timestamp_ms: int, ids: Sequence[str]) -> list[bool]:
        """Which rows of a record to learn. Above the limit those are the rows whose CRC-32 of the id lies in the
        share that the limit is of the busier of this second so far and the second before."""
        second = timestamp_ms // 1_000
        if second != self._second:
            self._before = self._rows if second == self._second + 1 else 0
            self._second, self._rows = second, 0
        self._rows += len(ids)
        busier = max(self._before, self._rows)
        if busier <= self._max_rate:
            return [True] * len(ids)
        below = int(_HASHES * self._max_rate / busier)
        return [crc32(id_.encode()) < below for id_ in ids]
