"""Figures of a benchmark: quantiles as the written method has them, medians over rounds, ratios within a round."""

import pytest

from pipeline.lab.bench.backlog import Backlog
from pipeline.lab.bench.figures import latency, quantile, spread
from pipeline.lab.bench.latency import Rate, Waits
from pipeline.lab.bench.options import OURS, QUIX, RELAY
from pipeline.lab.bench.summary import Round, summarise


def backlog(rate: float) -> Backlog:
    return Backlog(1_000, rate, None, None)


def test_a_quantile_is_the_value_with_that_share_below_it() -> None:
    ordered = [float(number) for number in range(1_000)]
    assert [quantile(ordered, share) for share in (0.5, 0.99, 0.999, 1.0)] == [500.0, 990.0, 999.0, 999.0]
    assert quantile([7.0], 0.999) == 7.0


def test_a_spread_has_the_middle_round_and_the_extremes() -> None:
    found = spread([9.0, 1.0, 4.0])
    assert (found.median, found.low, found.high, found.rounds) == (4.0, 1.0, 9.0, [9.0, 1.0, 4.0])
    with pytest.raises(ValueError, match="no round"):
        spread([])


def test_latencies_are_told_in_milliseconds_and_what_is_missing_is_counted() -> None:
    found = latency([0.004, 0.001, 0.002], stall_s=0.5, sent=5)
    assert (found.p50, found.max, found.stall) == (2.0, 4.0, 500.0)
    assert (found.sent, found.got) == (5, 3)


def test_a_program_that_answers_nothing_has_no_latency() -> None:
    with pytest.raises(ValueError, match="none of 5"):
        latency([], stall_s=0.0, sent=5)


def test_a_ratio_is_taken_within_its_round_before_the_median() -> None:
    rounds = [
        Round(backlog={RELAY: backlog(relay), OURS: backlog(ours)})
        for relay, ours in ((100.0, 50.0), (10.0, 9.0), (1_000.0, 100.0))
    ]
    figures = summarise(rounds)
    assert figures[f"backlog.{RELAY}.ratio"].rounds == [0.5, 0.9, 0.1]
    assert figures[f"backlog.{RELAY}.ratio"].median == 0.5
    assert figures[f"backlog.{OURS}.rate"].median / figures[f"backlog.{RELAY}.rate"].median == 0.5
    assert f"backlog.{OURS}.ratio" not in figures


def test_a_program_missing_in_a_round_has_the_figures_of_the_others() -> None:
    rounds = [
        Round(backlog={QUIX: backlog(10.0), OURS: backlog(20.0)}),
        Round(backlog={OURS: backlog(30.0)}),
    ]
    figures = summarise(rounds)
    assert figures[f"backlog.{QUIX}.ratio"].rounds == [2.0]
    assert figures[f"backlog.{OURS}.rate"].rounds == [20.0, 30.0]


def test_latencies_are_compared_at_the_same_rate() -> None:
    def runs(*p50_ms: float) -> list[Rate]:
        return [
            Rate(rate, latency([wait / 1e3], 0.0, 1), None) for rate, wait in zip((200.0, 1_000.0), p50_ms, strict=True)
        ]

    figures = summarise([Round(latency={RELAY: runs(1.0, 2.0), OURS: runs(4.0, 3.0)})])
    assert figures[f"latency.200.{RELAY}.p50_more"].median == pytest.approx(3.0)
    assert figures[f"latency.1000.{RELAY}.p99_ratio"].median == pytest.approx(1.5)


def test_a_wait_counts_from_when_a_transaction_was_due_and_a_repeat_counts_once() -> None:
    waits = Waits(first=1_000, number=4, rate=2.0)
    waits.began = 100.0
    for number, moment in (
        (1_000, 100.25),
        (1_002, 103.0),
        (1_002, 109.0),
        (1_001, 103.5),
        (999, 104.0),
        (1_004, 104.0),
    ):
        waits.took(0, b'{"id": "x%d", "card": "tok_x"}' % number, moment)
    found = waits.figures(settled=0)
    assert (waits.got, found.sent, found.got) == (3, 4, 3)
    assert found.max == pytest.approx(3_000.0)  # number 1,001 was due at 100.5
    assert found.stall == pytest.approx(2_750.0)  # from 100.25 to 103.0
    settled = waits.figures(settled=2)
    assert (settled.sent, settled.got) == (2, 1)
    assert settled.max == pytest.approx(2_000.0)
