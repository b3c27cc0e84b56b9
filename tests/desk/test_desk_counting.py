"""Counts and latencies by second of the log's time."""

import pytest

from pipeline.core.decision import Outcome
from pipeline.desk.counting import HOUR_S, Counting

NOW = 1_760_000_000


def test_windows_hold_what_fell_into_them_and_nothing_older() -> None:
    counting = Counting()
    for age_s in (0, 59, 60, 3_599, 3_600, 9_000):
        counting.add((NOW - age_s) * 1000, Outcome.hold, 1)
    assert counting.outcomes(NOW, 60)[Outcome.hold] == 2
    assert counting.outcomes(NOW, HOUR_S)[Outcome.hold] == 4


def test_an_hour_later_the_old_counts_are_gone_without_anything_new() -> None:
    counting = Counting()
    counting.add(NOW * 1000, Outcome.notify, 1)
    assert sum(counting.outcomes(NOW + HOUR_S, HOUR_S).values()) == 0
    assert counting.rate(NOW + HOUR_S) == 0


def test_a_late_record_does_not_wipe_the_second_that_took_its_slot() -> None:
    counting = Counting()
    counting.add(NOW * 1000, Outcome.hold, 1)
    counting.add((NOW - HOUR_S) * 1000, Outcome.hold, 1)
    assert counting.outcomes(NOW, 60)[Outcome.hold] == 1
    assert counting.total == 1


def test_rate_is_the_mean_of_full_seconds() -> None:
    counting = Counting()
    for second in range(NOW - 10, NOW):
        for _ in range(20):
            counting.add(second * 1000 + 7, Outcome.approve, 1)
    for _ in range(500):
        counting.add(NOW * 1000, Outcome.approve, 1)
    assert counting.rate(NOW + 0.5) == 20
    assert counting.per_second(NOW, 12) == [0, 0] + [20] * 10


def test_latency_quantiles_are_within_a_bucket_of_the_truth() -> None:
    counting = Counting()
    for latency_ms in range(1, 1_001):
        counting.add(NOW * 1000, Outcome.approve, latency_ms)
    p50, p99 = counting.latency(NOW)
    assert p50 == pytest.approx(500, rel=0.13)
    assert p99 == pytest.approx(990, rel=0.13)


def test_latency_of_a_quiet_minute_is_unknown_not_zero() -> None:
    counting = Counting()
    counting.add((NOW - 61) * 1000, Outcome.approve, 5)
    assert counting.latency(NOW) == (None, None)


def test_clocks_that_disagree_do_not_break_the_latency() -> None:
    counting = Counting()
    counting.add(NOW * 1000, Outcome.approve, -40)
    counting.add(NOW * 1000, Outcome.approve, 10**12)
    p50, p99 = counting.latency(NOW)
    assert p50 is not None
    assert p99 is not None
    assert 0 < p50 < p99
