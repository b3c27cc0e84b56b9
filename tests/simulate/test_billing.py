"""The simulated bank's books: every record can be used, bills are paid as their holders do, and no day depends on another."""

import asyncio
from collections import Counter
from itertools import islice, takewhile

from pipeline.adapters.memory import FixedClock
from pipeline.core.account import Account, after
from pipeline.core.account_event import Repayment, Statement, read_event
from pipeline.core.arrears import standing
from pipeline.lab.simulate.billing import Booked
from pipeline.lab.simulate.command import Sent, Sinks, simulate
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.world import World

NOW = 1_790_000_000.0
CARDS = 300


def books() -> list[Booked]:
    return World(1, CARDS, NOW).billing.books(NOW, CARDS)[0]


def test_every_record_can_be_used_and_names_its_account() -> None:
    events = [read_event(booked.key(), booked.value()) for booked in books()]
    kinds = Counter(type(event).__name__ for event in events)
    assert set(kinds) == {
        "Statement", "InstalmentDue", "Repayment", "RepaymentPending", "RepaymentReversed", "AutopayFailed"
    }  # fmt: skip
    statements = [event for event in events if isinstance(event, Statement)]
    world = World(1, CARDS, NOW)
    holders = {world.cardholders.get(index).account: world.cardholders.get(index) for index in range(CARDS)}
    assert all(holders[event.account].customer == event.customer for event in statements)


def test_what_was_booked_by_a_later_day_is_what_was_booked_before_and_what_came() -> None:
    world, later = World(1, CARDS, NOW), NOW + 5 * 86_400
    opened, coming = world.billing.books(NOW, CARDS)
    came = [booked for booked in takewhile(lambda booked: booked.time <= later, coming) if "-live" not in str(booked)]
    assert [*opened, *came] == world.billing.books(later, CARDS)[0]


def test_customers_stand_at_every_stage_and_few_are_late() -> None:
    accounts: dict[str, Account] = {}
    for booked in books():
        event = read_event(booked.key(), booked.value())
        accounts[event.account] = after(accounts.get(event.account), event, int(booked.time * 1000), 0)
    stages = Counter(standing(account, int(NOW * 1000)).stage for account in accounts.values())
    assert {"none", "before", "m1", "m2"} <= set(stages)
    late = sum(stages[name] for name in ("m1", "m2", "m3", "m3+"))
    assert 0.02 < late / len(accounts) < 0.25


def test_live_the_days_go_on_and_somebody_who_owes_pays_every_few_seconds() -> None:
    world = World(1, CARDS, NOW)
    coming = list(islice(world.billing.books(NOW, CARDS)[1], 60))
    assert [booked.time for booked in coming] == sorted(booked.time for booked in coming)
    assert coming[0].time > NOW
    hurrying = [booked for booked in coming if "-live" in str(booked.record.get("id"))]
    assert len(hurrying) > 10
    assert all(isinstance(read_event(booked.key(), booked.value()), Repayment) for booked in hurrying)


def test_a_live_simulation_opens_the_books_before_anybody_pays() -> None:
    sent: list[bytes] = []

    async def account(key: bytes, value: bytes) -> None:
        sent.append(value)

    async def nowhere(key: bytes, value: bytes) -> None:
        return

    expected = [booked.value() for booked in World(1, 40, NOW).billing.books(NOW, 40)[0]]

    async def scenario() -> Sent:
        stop = asyncio.Event()
        sinks = Sinks(nowhere, account=account)
        world = World(1, 40, NOW)
        running = asyncio.create_task(simulate(world, PRESETS["busy"], sinks, FixedClock(NOW), stop))
        while len(sent) < len(expected):
            await asyncio.sleep(0)
        stop.set()
        return await running

    counted = asyncio.run(scenario())
    assert counted.booked == len(sent)
    assert sent == expected
