"""The stream is repeatable, ordered, usable by the scorer, and its parts do not disturb each other."""

import re
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import msgspec
import pytest

from pipeline.core.currencies import Money
from pipeline.core.transaction import decode
from pipeline.lab.simulate.attempt import Attempt
from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.labels import Chargebacks
from pipeline.lab.simulate.places import FEN_PER_MINOR_UNIT
from pipeline.lab.simulate.stolen_card import StolenCardParameters
from pipeline.lab.simulate.stream import LiveParameters, Stream
from pipeline.lab.simulate.world import World, WorldParameters

START = 1_790_000_000.0
MONEY = Money("CNY", dict(FEN_PER_MINOR_UNIT))
DAY_S = 86_400


@pytest.fixture(scope="module")
def month() -> list[Attempt]:
    return list(Stream(World(5, 450, START)).history(30))


def values(attempts: list[Attempt]) -> list[bytes]:
    return [attempt.value() for attempt in attempts]


def genuine(attempts: list[Attempt]) -> list[bytes]:
    return values([attempt for attempt in attempts if not attempt.truth.fraud])


def test_same_seed_same_bytes() -> None:
    first = list(Stream(World(3, 200, START)).history(6))
    second = list(Stream(World(3, 200, START)).history(6))
    assert values(first) == values(second)
    assert [a.truth for a in first] == [a.truth for a in second]
    assert values(first) != values(list(Stream(World(4, 200, START)).history(6)))


def test_identifiers_never_hold_a_run_of_digits_like_a_card_number() -> None:
    draws = Source(1, "identifiers").at(0, 0)
    made = [draws.identifier() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert not [identifier for identifier in made if re.search(r"\d{13}", identifier)]


def test_live_is_repeatable_too() -> None:
    world = World(3, 200, START)
    live = [values(list(islice(Stream(world).live(START + 30 * DAY_S), 300))) for _ in range(2)]
    assert live[0] == live[1]


def test_one_population_less_changes_no_other() -> None:
    everyone = list(Stream(World(3, 300, START)).history(10))
    without = replace(WorldParameters(), stolen_card=StolenCardParameters(per_card_day=0.0))
    fewer = list(Stream(World(3, 300, START, parameters=without)).history(10))
    assert any(a.truth.kind == "stolen_card" for a in everyone)
    assert values([a for a in everyone if a.truth.kind != "stolen_card"]) == values(fewer)


def test_more_cards_change_no_others_life() -> None:
    few = list(Stream(World(3, 60, START)).history(5))
    many = list(Stream(World(3, 90, START)).history(5))
    assert genuine(few) == genuine([a for a in many if a.card < 60])


def test_order_of_time_within_bounds() -> None:
    attempts = list(Stream(World(5, 200, START)).history(8))
    assert all(before.time <= after.time for before, after in pairwise(attempts))
    assert attempts[0].time >= START
    assert attempts[-1].time < START + 8 * DAY_S


def test_every_record_is_usable_and_holds_no_truth(month: list[Attempt]) -> None:
    assert len({a.transaction.id for a in month}) == len(month)
    for attempt in month:
        event = decode(attempt.value(), int(attempt.time * 1000), MONEY)
        assert abs(event.at - attempt.time) < 0.002
        fields = msgspec.json.decode(attempt.value())
        assert not {"fraud", "truth", "label", "episode"} & fields.keys()


def test_genuine_traffic_has_its_outliers(month: list[Attempt]) -> None:
    calm = [a for a in month if not a.truth.fraud]
    kinds = Counter(a.truth.kind for a in calm)
    expected = {"outing", "top-up", "cash", "subscription", "large purchase", "refund", "reversal", "card check"}
    assert expected < kinds.keys()
    assert any(a.transaction.country != "CN" and a.transaction.latitude is not None for a in calm)
    assert {"55", "51"} <= {a.transaction.response_code for a in calm}
    assert any(a.transaction.wallet for a in calm)
    assert {a.truth.kind for a in month if a.truth.fraud} == {"stolen_card", "card_testing", "cash_out"}


def test_reversals_name_what_they_undo(month: list[Attempt]) -> None:
    seen = set()
    for attempt in month:
        seen.add(attempt.transaction.id)
        if attempt.transaction.type == "reversal":
            assert attempt.transaction.original_id in seen


def test_live_keeps_to_its_rate_and_begins_fraud_soon() -> None:
    world = World(2, 2000, START)
    start = START + 30 * DAY_S
    attempts = list(islice(Stream(world).live(start, LiveParameters(rate=5.0)), 8_000))
    calm = [a for a in attempts if not a.truth.fraud]
    assert 4.3 < len(calm) / (attempts[-1].time - start) < 5.7
    assert next(a.time for a in attempts if a.truth.fraud) - start <= 12.0
    assert all(before.time <= after.time for before, after in pairwise(attempts))


def test_chargebacks_come_late_and_once(month: list[Attempt]) -> None:
    chargebacks = Chargebacks(1)
    for attempt in month:
        chargebacks.saw(attempt)
    assert list(chargebacks.due(START)) == []
    labels = list(chargebacks.due(START + 400 * DAY_S))
    assert list(chargebacks.due(START + 400 * DAY_S)) == []
    when = {a.transaction.id: a for a in month}
    fraud = {a.transaction.id for a in month if a.truth.fraud and a.transaction.response_code == "00"}
    assert 0.5 * len(fraud) < len(labels) < len(fraud) + 10
    for label in labels:
        assert label.card == when[label.transaction].transaction.card
        assert label.time > when[label.transaction].transaction.time
