"""Customer events on their way to every scorer: told at once, found again after a crash, the bad ones put aside."""

import asyncio
import json

import msgspec
from learner_world import KEY, Bank, MemoryReader
from prometheus_client import CollectorRegistry

from pipeline.core.customer_history import KEPT_S, Event, unpack
from pipeline.core.customer_table import CustomerLedger, CustomerTable
from pipeline.core.entities import digest_of
from pipeline.core.moments import rfc3339
from pipeline.core.records import DeadLetter
from pipeline.core.told import PARTS, Gathered, is_told_key, open_told
from pipeline.core.topics import CONTROL, CUSTOMER_EVENTS, DEAD_LETTERS
from pipeline.roles.learner.customers_followed import CustomersFollowed
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.role import Learner

NOW = 1_000_000.0


def put(where: Bank, customer: str, kind: str = "sim_swapped", ago: float = 60.0) -> None:
    said = {"customer": customer, "type": kind, "time": rfc3339(where.clock.time - ago)}
    where.log.put(CUSTOMER_EVENTS, json.dumps(said).encode(), key=customer.encode())


def learner(where: Bank, idle: asyncio.Event, retained_from: int = 0) -> Learner:
    made, _ = where.learner(idle.set)
    world = made._world._replace(
        open_customer_events=lambda: MemoryReader(where.log, CUSTOMER_EVENTS, retained_from=retained_from)
    )
    return Learner(world, where.space, where.plan, KEY, LearnerMetrics(CollectorRegistry()), where.pace)


def killed_when_told(where: Bank, customers: int, retained_from: int = 0) -> None:
    """A learner that is killed when so many customers are known to whoever reads the topic."""

    async def scenario() -> None:
        task = asyncio.create_task(learner(where, asyncio.Event(), retained_from).run(asyncio.Event()))
        async with asyncio.timeout(20):
            while len(gathered(where).rows) < customers:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    where.pace = where.pace._replace(tell_s=0.0)
    asyncio.run(scenario())
    where.clock.time += where.pace.lease_s


def gathered(where: Bank) -> Gathered:
    found = Gathered()
    for entry in where.log.of(CONTROL):
        if is_told_key(entry.key):
            found.take(open_told(entry.value or b"", KEY))
    return found


def kinds(where: Bank, customer: str) -> list[tuple[int, int]]:
    return [(event.kind, event.second) for event in unpack(gathered(where).rows[digest_of(customer)])]


def test_events_are_told_and_a_learner_that_begins_again_goes_on_from_them() -> None:
    where = Bank()
    put(where, "a")
    put(where, "b", "device_added")
    killed_when_told(where, 2)
    assert gathered(where).read == {CUSTOMER_EVENTS.name: {0: 2}}
    put(where, "a", "phone_changed", ago=30.0)
    put(where, "c")
    killed_when_told(where, 3)
    now = int(NOW)
    assert kinds(where, "a") == [(0, now - 30), (1, now - 60)]
    assert kinds(where, "b") == [(2, now - 60)]
    assert gathered(where).read == {CUSTOMER_EVENTS.name: {0: 4}}


def test_where_the_place_to_go_on_from_is_gone_all_that_is_retained_is_read() -> None:
    where = Bank()
    put(where, "a")
    killed_when_told(where, 1)
    for customer in "bcde":
        put(where, customer)
    killed_when_told(where, 3, retained_from=3)
    assert set(gathered(where).rows) == set(map(digest_of, "ade"))


def test_what_cannot_be_used_goes_to_dead_letters_and_the_rest_goes_on() -> None:
    where = Bank()
    where.log.put(CUSTOMER_EVENTS, b"{", key=b"x")
    where.log.put(CUSTOMER_EVENTS, None, key=b"x")
    put(where, "a", ago=-2 * 86_400)
    put(where, "a", "wallet_added")
    put(where, "b")

    async def scenario() -> CustomersFollowed:
        reader = MemoryReader(where.log, CUSTOMER_EVENTS)
        followed = CustomersFollowed(reader, where.log, LearnerMetrics(CollectorRegistry()), None)
        await followed.start(again=False)
        for _ in range(3):
            await followed.hear()
        return followed

    followed = asyncio.run(scenario())
    assert len(followed.ledger) == 1
    letters = [msgspec.json.decode(entry.value or b"", type=DeadLetter) for entry in where.log.of(DEAD_LETTERS)]
    assert [(one.topic, one.offset, one.reason, one.field) for one in letters] == [
        ("customer-events", 0, "not_an_event", None),
        ("customer-events", 1, "not_an_event", None),
        ("customer-events", 2, "not_an_event", "time"),
    ]
    assert [told.read for told in followed.tellings(1)] == [{"customer-events": {0: 5}}] * 2


def test_customers_with_nothing_left_to_say_are_forgotten() -> None:
    ledger, table, sizes = CustomerLedger(), CustomerTable(), []
    ledger.observe(2 * PARTS, Event(1, 1_000))
    for number in range(1, PARTS + 2):
        ledger.observe(number, Event(1, int(1_001 + KEPT_S)))
        for told in ledger.tellings(1, {}):
            table.take(told)
        sizes.append(len(table))
    assert sizes == [*range(2, PARTS + 1), PARTS, PARTS + 1], "when their part comes round"
    assert len(ledger) == len(table)


def test_beyond_the_limit_the_oldest_give_way() -> None:
    ledger = CustomerLedger(most=2 * PARTS)
    for number, second in enumerate((5, 1, 9, 7), 1):
        ledger.observe(number * PARTS, Event(1, second))
    changes, _ = ledger.tellings(1, {})
    assert [bool(row) for row in changes.rows.values()] == [False, False, True, True]
    assert len(ledger) == 2
