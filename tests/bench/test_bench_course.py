"""What a benchmark reads of a running scorer: the text of its /metrics, the transactions it is sent."""

import itertools
import json
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pipeline.core.currencies import parse_rates
from pipeline.core.transaction import decode
from pipeline.lab.bench.process import cost, read_course, series
from pipeline.lab.bench.stream import SERIES, STEP_S, Stream, number_of
from pipeline.roles.scorer.metrics import ScorerMetrics


def exposition(transactions: int, polls: int, stage_s: float) -> str:
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry)
    metrics.transactions.labels("approve").inc(transactions - 1)
    metrics.transactions.labels("hold").inc(1)
    for _ in range(polls):
        metrics.poll_size.observe(transactions / polls)
        metrics.stages.observe(stage_s, "decode")
        metrics.stages.observe(2 * stage_s, "append")
    metrics.checkpoint.observe(0.5)
    metrics.resident_profiles.set(17)
    return generate_latest(registry).decode()


def test_the_scorers_own_metrics_tell_how_far_it_is() -> None:
    course = read_course(exposition(100, 4, 0.001), cpu=2.5)
    assert (course.transactions, course.polls, course.cpu_s, course.checkpoint_s) == (100, 4, 2.5, 0.5)
    assert course.approved == 99
    assert course.stages["decode"] == pytest.approx(0.004)
    assert course.stages["append"] == pytest.approx(0.008)
    assert course.stages["model"] == 0.0


def test_a_cost_is_what_was_added_between_two_looks_by_transaction() -> None:
    before = read_course(exposition(100, 4, 0.001), cpu=1.0)
    after = read_course(exposition(300, 8, 0.001), cpu=1.5)
    found = cost(before, after)
    assert found is not None
    assert (found.transactions, found.poll, found.approved) == (200, 50, 1.0)
    assert found.stages_us["decode"] == pytest.approx(20.0)
    assert found.stages_us["append"] == pytest.approx(40.0)
    assert found.cpu_us == pytest.approx(2_500.0)
    assert found.checkpoint_us == 0.0


def test_no_transaction_no_cost() -> None:
    course = read_course(exposition(100, 4, 0.001), cpu=1.0)
    assert cost(course, course) is None


def test_a_series_is_summed_over_its_labels() -> None:
    text = exposition(100, 4, 0.001)
    assert series(text, "cardwatch_resident_profiles") == 17
    assert series(text, "cardwatch_transactions_total") == 100
    assert series(text, "cardwatch_no_such") == 0


def test_the_streams_transactions_are_ones_the_scorer_takes() -> None:
    stream = Stream(cards=50, newest=1_800_000_000.0)
    value = stream.value(120)
    sent = json.loads(value)
    assert sent["card"].encode() == stream.key(120)
    assert list(sent) == [
        "id",
        "card",
        "time",
        "amount",
        "currency",
        "merchant",
        "terminal",
        "mcc",
        "country",
        "entry_mode",
    ]
    money = parse_rates(*_rates())
    event = decode(value, 1_800_000_000_000, money)
    assert event.transaction.id == "x120"
    assert event.at == pytest.approx(stream.moment(120), abs=0.0011)


def _rates() -> tuple[str, str]:
    path = Path(__file__).parents[2] / "config" / "rates.toml"
    return path.read_text(), str(path)


def test_a_cards_transactions_follow_each_other_and_every_series_is_alike() -> None:
    stream = Stream(cards=50, newest=1_800_000_000.0)
    turns = [stream.moment(7 + turn * 50) for turn in range(6)]
    assert [after - before for before, after in itertools.pairwise(turns)] == [STEP_S] * 4 + [0]
    assert stream.key(SERIES * 3 + 11) == stream.key(11 + SERIES * 3 % 50)
    assert stream.moment(SERIES * 3 + 11) == stream.moment(11)
    assert stream.value(SERIES + 11) != stream.value(11)


def test_the_number_is_found_in_any_programs_decision() -> None:
    assert number_of(b'{"id":"x42","card":"tok_x"}') == 42
    assert number_of(json.dumps({"card": "tok_x9", "id": "x1000000007"}).encode()) == 1_000_000_007
    assert number_of(msgspec.json.encode({"id": "x0"})) == 0
    with pytest.raises(ValueError, match="not found"):
        number_of(b'{"card": "tok_x"}')
