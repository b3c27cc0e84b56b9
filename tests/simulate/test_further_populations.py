"""The populations that a preset turns on: compromised merchants, account takeover, journeys announced or not, payments
in other currencies, chargebacks that come late. Turned off they change nothing."""

import asyncio
import json
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from pipeline.core.currencies import Money
from pipeline.core.transaction import decode
from pipeline.lab.simulate.attempt import BANK_CLOCK, Attempt
from pipeline.lab.simulate.command import Sinks, simulate, to_file
from pipeline.lab.simulate.compromised_merchant import BREACHED, SKIMMED, CompromisedMerchantParameters
from pipeline.lab.simulate.customer_events import CustomerEvent, Happened
from pipeline.lab.simulate.labels import LATE, Chargebacks
from pipeline.lab.simulate.places import FEN_PER_MINOR_UNIT, HOME_CURRENCY
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.world import World, WorldParameters

START = 1_790_000_000.0
DAYS = 75
DAY_S = 86_400
CARDS = 450
MONEY = Money("CNY", dict(FEN_PER_MINOR_UNIT))
EVERYONE = PRESETS["everyone"].world
MORE = replace(
    EVERYONE,
    compromised_merchant=CompromisedMerchantParameters(monthly=60.0, used=0.8),
    account_takeover=replace(EVERYONE.account_takeover, per_card_day=1.0e-3),
)


class Seen:
    """A history, and what happened to customers beside it: with each event the time it was heard of."""

    def __init__(self, world: World) -> None:
        self.world = world
        stream = Stream(world)
        self.attempts: list[Attempt] = []
        self.events: list[tuple[float, Happened]] = []
        for attempt in stream.history(DAYS):
            self.events += [(attempt.time, event) for event in stream.happened(attempt.time)]
            self.attempts.append(attempt)


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen(World(5, CARDS, START, parameters=MORE))


def of_kind(seen: Seen, *kinds: str) -> list[Attempt]:
    return [attempt for attempt in seen.attempts if attempt.truth.kind in kinds]


def test_turned_off_they_change_nothing() -> None:
    default = [a.value() for a in Stream(World(5, 80, START)).history(4)]
    quiet = replace(
        MORE,
        life=WorldParameters().life,
        cardholders=WorldParameters().cardholders,
        compromised_merchant=CompromisedMerchantParameters(),
        account_takeover=WorldParameters().account_takeover,
    )
    assert [a.value() for a in Stream(World(5, 80, START, parameters=quiet)).history(4)] == default
    assert PRESETS["demo"].world == PRESETS["busy"].world == WorldParameters()
    thieves = [population.name for population in World(5, 80, START).fraud]
    assert thieves == ["stolen_card", "card_testing", "cash_out"], "live traffic picks among them, rare or not"


def test_frauds_of_a_compromise_name_a_place_where_the_card_had_paid(seen: Seen) -> None:
    exposed: dict[tuple[int, str], float] = {}
    for attempt in seen.attempts:
        point = attempt.truth.point
        if point is not None and not attempt.truth.fraud:
            assert attempt.transaction.merchant == point
            assert attempt.transaction.response_code == "00"
            exposed.setdefault((attempt.card, point), attempt.time)
    frauds = of_kind(seen, SKIMMED, BREACHED)
    assert {a.truth.kind for a in frauds} == {SKIMMED, BREACHED}
    for attempt in frauds:
        assert attempt.truth.point is not None
        assert attempt.time - exposed[attempt.card, attempt.truth.point] > 6 * DAY_S, (
            "sold a week after the last day, or later"
        )
        ways = {SKIMMED: ("chip", "magstripe"), BREACHED: ("ecommerce",)}
        assert attempt.transaction.entry_mode in ways[attempt.truth.kind]
    assert not [a for a in seen.attempts if a.truth.point and a.truth.fraud and a not in frauds]


def test_a_share_of_the_exposed_cards_goes_bad_the_first_ones_soon() -> None:
    parameters = replace(MORE, compromised_merchant=CompromisedMerchantParameters(monthly=60.0, used=0.35))
    world = World(5, CARDS, START, parameters=parameters)
    compromise = world.compromised.begun(690)[0]
    used = [world.compromised.use(compromise, world.cardholders.get(index)) for index in range(CARDS)]
    begins = [attempts[0].time for attempts in used if attempts]
    assert 0.28 < len(begins) / CARDS < 0.42
    after_days = sorted((begin - world.calendar.midnight(compromise.sold)) / DAY_S for begin in begins)
    assert after_days[0] >= 0
    assert after_days[-1] < 29
    assert after_days[len(after_days) // 2] < 11


def test_many_cards_of_one_place_go_bad(seen: Seen) -> None:
    exposed: dict[str, set[int]] = defaultdict(set)
    bad: dict[str, set[int]] = defaultdict(set)
    for attempt in seen.attempts:
        if attempt.truth.point:
            (bad if attempt.truth.fraud else exposed)[attempt.truth.point].add(attempt.card)
    assert max(map(len, bad.values())) >= 5
    assert all(bad[point] <= exposed[point] for point in bad)


def test_a_takeover_begins_with_the_customers_number_and_device(seen: Seen) -> None:
    by_customer: dict[str, list[CustomerEvent]] = defaultdict(list)
    for _, happened in seen.events:
        by_customer[happened.event.customer].append(happened.event)
    taken = of_kind(seen, "account_takeover")
    assert len({a.card for a in taken}) > 10
    first: dict[int, Attempt] = {}
    far = 0
    for attempt in taken:
        first.setdefault(id(attempt.episode), attempt)
        if attempt.transaction.wallet:
            card = seen.world.cardholders.get(attempt.card)
            spent = attempt.transaction
            assert spent.latitude is not None
            assert spent.longitude is not None
            assert max(abs(spent.latitude - card.latitude), abs(spent.longitude - card.longitude)) > 0.3
            far += 1
    assert far > 10
    for attempt in first.values():
        before = [
            event
            for event in by_customer[attempt.transaction.customer or ""]
            if timedelta(0) < datetime.fromtimestamp(attempt.time, BANK_CLOCK) - datetime.fromisoformat(event.time)
        ]
        assert {event.type for event in before} & {"phone_changed", "sim_swapped"}
        assert "device_added" in {event.type for event in before}


def test_customers_change_numbers_and_devices_themselves_more_often(seen: Seen) -> None:
    thieves = sum(len(a.events) for a in seen.attempts)
    assert len(seen.events) > 2 * thieves > 0
    assert all(heard >= happened.time for heard, happened in seen.events)
    assert {"phone_changed", "device_added", "login_failed", "travel_notice"} <= {h.event.type for _, h in seen.events}


def test_journeys_abroad_are_announced_or_not(seen: Seen) -> None:
    world = seen.world
    gone: set[tuple[str | None, str]] = set()
    later: set[tuple[str | None, str]] = set()
    announced = 0
    for index in range(CARDS):
        for day in range(world.calendar.day(START), world.calendar.day(START) + DAYS + 7):
            trip = world.calendar.away(world.cardholders.get(index), day)
            if trip is not None and trip.city >= 16 and world.cardholders.get(index).customer:
                journey = (world.cardholders.get(index).customer, world.calendar.date(trip.first_day).isoformat())
                (gone if day < world.calendar.day(START) + DAYS else later).add(journey)
    notices = [h for _, h in seen.events if h.event.type == "travel_notice"]
    for notice in notices:
        record = json.loads(notice.value())
        assert record["time"][:10] < record["from"] <= record["to"]
        assert len(record["countries"]) == 1
        announced += (record["customer"], record["from"]) in gone
    assert 0.2 * len(gone) < announced < 0.5 * len(gone)
    begun = {(h.event.customer, h.event.first) for h in notices}
    assert begun - gone - later, "some who said so stay at home"


def test_payments_abroad_come_in_three_ways(seen: Seen) -> None:
    ways = {(a.transaction.currency == HOME_CURRENCY, a.transaction.billing_amount is None) for a in seen.attempts
            if a.transaction.country != "CN" and not a.truth.fraud}  # fmt: skip
    assert ways == {(False, False), (False, True), (True, False)}
    for attempt in islice(seen.attempts, 0, None, 20):
        event = decode(attempt.value(), int(attempt.time * 1000), MONEY)
        if attempt.transaction.billing_amount is not None:
            assert event.amount == attempt.transaction.billing_amount


def test_late_chargebacks_take_weeks_and_some_never_come(seen: Seen) -> None:
    chargebacks = Chargebacks(1, LATE)
    when = {}
    for attempt in seen.attempts:
        chargebacks.saw(attempt)
        when[attempt.transaction.id] = attempt
    fraud = [a for a in seen.attempts if a.truth.fraud and a.transaction.response_code == "00" and a.transaction.amount]
    labels = [label for label in chargebacks.due(START + 400 * DAY_S) if label.fraud_type]
    assert 0.6 < len(labels) / len(fraud) < 0.8
    for label in labels:
        delay = datetime.fromisoformat(label.time).timestamp() - when[label.transaction].time
        assert 20 * DAY_S - 1 <= delay <= 60 * DAY_S + 1


class Frozen:
    def now(self) -> float:
        return START + DAYS * DAY_S


def test_the_simulator_publishes_customer_events_before_what_follows() -> None:
    sent_in_order: list[tuple[str, str]] = []

    def to(topic: str):  # type: ignore[no-untyped-def]  # the closure's type is Send
        async def send(key: bytes, value: bytes) -> None:
            record = json.loads(value)
            assert key.decode() == record["card" if topic == "transactions" else "customer"]
            sent_in_order.append((topic, record["time"]))

        return send

    preset = replace(PRESETS["everyone"], days=6, world=MORE)
    world = World(3, 150, START, parameters=MORE)
    sinks = Sinks(to("transactions"), event=to("customer-events"))
    sent = asyncio.run(simulate(world, preset, sinks, Frozen(), asyncio.Event()))
    assert sent.events == sum(topic == "customer-events" for topic, _ in sent_in_order) > 0
    times = [datetime.fromisoformat(time) for _, time in sent_in_order]
    assert times == sorted(times)


def test_a_file_names_the_point_of_compromise(tmp_path: Path) -> None:
    preset = replace(PRESETS["everyone"], world=MORE)
    out, truth = tmp_path / "a.jsonl", tmp_path / "truth.jsonl"
    to_file(preset, 4, out, cards=120, days=60, truth=truth)
    named = [json.loads(line) for line in out.read_text().splitlines() if '"point_of_compromise"' in line]
    told = [json.loads(line) for line in truth.read_text().splitlines() if '"point"' in line]
    assert [(one["id"], one["point_of_compromise"]) for one in named] == [(one["id"], one["point"]) for one in told]
    assert {one["fraud"] for one in named} == {0, 1}
