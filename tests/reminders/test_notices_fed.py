"""Topics in, contact requests out: whose card it is, and nothing twice under another name."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory import StoredRecord
from pipeline.core.currencies import Money
from pipeline.core.notices import NoticeRules, Teller, Told
from pipeline.core.records import ContactRequest
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, Poll, Record
from pipeline.roles.reminder.choices import Choices
from pipeline.roles.reminder.notices import Notices

CARD = "tok_a_00000001"
NOW_S = 1_772_424_000.0
NOW_MS = int(NOW_S * 1000)


class Written:
    """A log that remembers what was sent."""

    def __init__(self) -> None:
        self.requests: list[ContactRequest] = []

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        raise AssertionError("notices go by their key")

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        raise AssertionError("notices go by their key")

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        assert topic.name == "contact-requests"
        for record in records:
            request = msgspec.json.decode(record.value or b"", type=ContactRequest)
            assert record.key == request.customer.encode()
            self.requests.append(request)


class Still:
    def now(self) -> float:
        return NOW_S


class Listed:
    """A topic that holds some records in one partition, and no more."""

    def __init__(self, *records: Record) -> None:
        self._records: Poll = {0: list(records)} if records else {}
        self._end = len(records)
        self._read = 0

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        return [0]

    async def ends(self) -> dict[int, int]:
        return {0: self._end}

    async def places(self) -> dict[int, int]:
        return {0: self._read}

    async def poll(self, timeout_s: float) -> Poll:
        await asyncio.sleep(0)
        found, self._records = self._records, {}
        self._read = self._end
        return found

    async def stop(self) -> None:
        return


def record(value: object, key: bytes | None = None, offset: int = 0) -> Record:
    return StoredRecord(0, offset, NOW_MS, key, None if value is None else msgspec.json.encode(value))


def customer(notices: object = None, cards: Sequence[str] = (CARD,), name: str = "c1") -> Record:
    value = {"customer": name, "cards": [{"card": card} for card in cards], "notices": notices or {}}
    return record(value, name.encode())


def payment(name: str, **more: object) -> Record:
    value = {"id": name, "card": CARD, "time": "2026-03-02T04:00:00Z", "amount": 900, "currency": "CNY", **more}
    return record(value, CARD.encode())


class World:
    def __init__(self) -> None:
        self.log = Written()
        self.choices = Choices()
        self.counted: list[str] = []
        almanac = world_almanac()
        bank = almanac.zone("Asia/Shanghai")
        assert bank is not None
        teller = Teller(NoticeRules(), almanac, bank)
        self.notices = Notices(
            self.choices, lambda: teller, Money("CNY", {"CNY": 1.0}), self.log, Still(), self.counted.append
        )

    def payments(self, *records: Record) -> None:
        asyncio.run(self.notices.payments(records))

    def told(self) -> list[tuple[str, str]]:
        return [(request.customer, request.template) for request in self.log.requests]


def test_the_holder_of_the_card_is_told_of_a_payment_that_names_no_customer() -> None:
    world = World()
    world.choices.take([customer({"above_amount": 0})])
    world.payments(payment("t1"), payment("t2", card="tok_b_00000002"), record({"no": "payment"}))
    assert world.told() == [("c1", "transaction_done")]
    assert world.counted == ["transaction_done"]


def test_a_choice_that_is_taken_back_and_a_customer_who_is_gone_are_told_nothing() -> None:
    world = World()
    world.choices.take([customer({"above_amount": 0})])
    world.choices.take([customer({})])
    world.payments(payment("t1"))
    world.choices.take([record(None, b"c1")])
    world.payments(payment("t2"))
    assert world.told() == []


def test_a_card_that_changed_hands_is_its_new_holders() -> None:
    world = World()
    world.choices.take([customer({"above_amount": 0})])
    world.choices.take([customer({"above_amount": 0}, name="c2")])
    world.choices.take([customer({"above_amount": 0}, cards=())])
    world.payments(payment("t1"))
    assert world.told() == [("c2", "transaction_done")]


def test_a_payment_read_again_has_the_same_name() -> None:
    world = World()
    world.choices.take([customer({"above_amount": 0})])
    world.payments(payment("t1"))
    world.payments(payment("t1"))
    assert len({request.id for request in world.log.requests}) == 1


def test_limits_and_cards_that_end_are_told_without_a_choice() -> None:
    world = World()
    world.choices.take([customer()])
    changed = {"card": CARD, "type": "limit_changed", "time": "2026-03-02T04:00:00Z", "limit": 100, "currency": "CNY"}
    ending = {"card": CARD, "type": "expiring", "time": "2026-03-02T04:00:00Z"}
    without = {"card": CARD, "type": "limit_changed", "time": "2026-03-02T04:00:00Z"}
    asyncio.run(
        world.notices.card_events([record(changed, offset=1), record(ending, offset=2), record(without, offset=3)])
    )
    assert world.told() == [("c1", "limit_changed"), ("c1", "card_ending")]


def test_an_account_tells_of_its_statement() -> None:
    world = World()
    world.choices.take([customer()])
    facts: dict[str, object] = {"amount": 100, "minimum": 10, "currency": "CNY", "due": "2026-03-20"}
    request = world.notices.of_account(Told("statement_ready", "s1", CARD, "c1", NOW_MS, facts), NOW_MS)
    assert request is not None
    assert (request.id, request.variables) == ("statement_ready/s1", {"card": CARD, **facts})
    assert world.counted == ["statement_ready"]


def test_what_customers_chose_is_known_once_all_of_the_topic_is_read() -> None:
    choices = Choices()
    known_before_the_last: list[bool] = []

    async def scenario() -> None:
        stop = asyncio.Event()
        reader = Listed(customer({"above_amount": 0}), customer({"online": True}, name="c2"))
        following = asyncio.create_task(choices.follow(reader, stop.is_set))
        known_before_the_last.append(choices.known.is_set())
        await asyncio.wait_for(choices.known.wait(), 5)
        stop.set()
        await asyncio.wait_for(following, 5)

    asyncio.run(scenario())
    assert known_before_the_last == [False]
    chosen = choices.of(CARD, "c2")
    assert chosen is not None
    assert chosen.online


def test_an_empty_topic_is_known_at_once() -> None:
    choices = Choices()

    async def scenario() -> None:
        stop = asyncio.Event()
        following = asyncio.create_task(choices.follow(Listed(), stop.is_set))
        await asyncio.wait_for(choices.known.wait(), 5)
        stop.set()
        await asyncio.wait_for(following, 5)

    asyncio.run(scenario())
