"""How many decisions of which outcome, and how fast, second by second over the last hour.

Counted by the decision's own time in the log, so a desk that starts late shows the same past as one that ran all
along. Memory is fixed: one slot per second of an hour, one latency histogram per second of a minute.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.core.decision import Outcome

HOUR_S = 3_600
MINUTE_S = 60
RATE_WINDOW_S = 10
"""The rate shown is a mean over this many full seconds: long enough to be calm, short enough to be live."""
CHART_S = 300

_GROWTH = 1.12
_LATENCY_EDGES_MS: tuple[float, ...] = tuple(_GROWTH**step for step in range(104))
"""Upper edges of the latency buckets, 1 ms to about two minutes; a quantile is off by at most 12 %."""


class Latency(NamedTuple):
    """Quantiles in milliseconds over the last minute; None when nothing was decided in it."""

    p50_ms: float | None
    p99_ms: float | None


_Slot = tuple[int, list[int]]
"""The second a slot holds, and its counts."""


class Counting:
    """Counts by second. A slot belongs to the newest second that fell into it; older ones are past the hour."""

    def __init__(self) -> None:
        self._outcomes: list[_Slot] = [(-1, [])] * HOUR_S
        self._latencies: list[_Slot] = [(-1, [])] * MINUTE_S
        self.since_ms: int | None = None
        """The earliest time counted: windows that begin before it are not full."""
        self.total = 0

    def add(self, timestamp_ms: int, outcome: Outcome, latency_ms: int) -> None:
        second = timestamp_ms // 1000
        counts = _slot(self._outcomes, second, len(Outcome))
        if counts is None:
            return
        counts[outcome] += 1
        self.total += 1
        if self.since_ms is None or timestamp_ms < self.since_ms:
            self.since_ms = timestamp_ms
        latencies = _slot(self._latencies, second, len(_LATENCY_EDGES_MS) + 1)
        if latencies is not None:
            latencies[bisect_left(_LATENCY_EDGES_MS, max(latency_ms, 0))] += 1

    def outcomes(self, now: float, window_s: int) -> dict[Outcome, int]:
        """How many of each outcome in the ``window_s`` seconds (at most an hour) up to ``now``, unix seconds."""
        newest = int(now)
        sums = [0] * len(Outcome)
        for second in range(newest - window_s + 1, newest + 1):
            held, counts = self._outcomes[second % HOUR_S]
            if held == second:
                for index, count in enumerate(counts):
                    sums[index] += count
        return {outcome: sums[outcome] for outcome in Outcome}

    def per_second(self, now: float, window_s: int) -> Sequence[int]:
        """Decisions in each of the last ``window_s`` full seconds, oldest first; the running second is left out."""
        newest = int(now)
        slots = ((second, *self._outcomes[second % HOUR_S]) for second in range(newest - window_s, newest))
        return [sum(counts) if held == second else 0 for second, held, counts in slots]

    def rate(self, now: float) -> float:
        """Decisions per second, a mean over the last full seconds."""
        return sum(self.per_second(now, RATE_WINDOW_S)) / RATE_WINDOW_S

    def latency(self, now: float) -> Latency:
        """From the transaction's time in its log to the decision's, over the last minute."""
        sums = [0] * (len(_LATENCY_EDGES_MS) + 1)
        for second, counts in self._latencies:
            if now - MINUTE_S < second <= now:
                sums = [left + right for left, right in zip(sums, counts, strict=True)]
        return Latency(_quantile(sums, 0.5), _quantile(sums, 0.99))


def _slot(slots: list[_Slot], second: int, width: int) -> list[int] | None:
    """The counts of ``second``, fresh if its slot held an older one; None if a newer one took the slot already."""
    held, counts = slots[second % len(slots)]
    if held > second:
        return None
    if held < second:
        counts = [0] * width
        slots[second % len(slots)] = (second, counts)
    return counts


def _quantile(counts: Sequence[int], share: float) -> float | None:
    """The upper edge of the bucket in which ``share`` of all is reached."""
    total = sum(counts)
    if not total:
        return None
    reached = 0
    for index, count in enumerate(counts):
        reached += count
        if reached >= share * total:
            return _LATENCY_EDGES_MS[min(index, len(_LATENCY_EDGES_MS) - 1)]
    return _LATENCY_EDGES_MS[-1]
