"""What is made of measured numbers: quantiles of one run, medians over the rounds."""

import statistics
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """A figure measured once a round: median, lowest and highest, and all of them in the order of the rounds."""

    median: float
    low: float
    high: float
    rounds: list[float]


class Latency(msgspec.Struct, frozen=True):
    """One open-loop run, milliseconds from the moment a transaction was due. ``stall`` is the longest time in which no
    decision came; ``sent`` counts what was due after the warm-up, ``got`` what of it came back."""

    p50: float
    p95: float
    p99: float
    p999: float
    max: float
    stall: float
    sent: int
    got: int


LATENCY_FIGURES = ("p50", "p95", "p99", "p999", "max", "stall")


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of ``ordered`` (ascending, not empty) lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError when there are none."""
    if not values:
        raise ValueError("no round has this figure")
    return Spread(statistics.median(values), min(values), max(values), list(values))


def latency(waits_s: Sequence[float], stall_s: float, sent: int) -> Latency:
    """The figures of one run from the waits (seconds) of the transactions that came back. Raises ValueError when none
    did."""
    if not waits_s:
        raise ValueError(f"none of {sent} transactions was decided in time")
    ordered = sorted(waits_s)
    p50, p95, p99, p999 = (quantile(ordered, share) * 1e3 for share in (0.5, 0.95, 0.99, 0.999))
    return Latency(p50, p95, p99, p999, ordered[-1] * 1e3, stall_s * 1e3, sent, len(ordered))
