"""A scorer that reads a broker: histories follow cards into other partitions, reports are known to the next transaction."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from scorer_world import KEY, PARTITIONS, card_in, delivered_curve, delivered_money, delivered_policy, parse, place_of

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.parts import KafkaPartsReader
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.kafka.worker import Worker
from pipeline.adapters.memory import MemoryProfiles
from pipeline.core import scored
from pipeline.core.features import CATALOGUE
from pipeline.core.topics import CARD_EVENTS, DEAD_LETTERS, DECISIONS, MOVED_ROWS, SCORED, TRANSACTIONS, Outgoing, Topic
from pipeline.embedded.broker import start_broker
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.role import Scorer
from pipeline.roles.scorer.settings import ScorerSettings

OLD, NEW, NEWER, ROTATED = card_in(0), card_in(1), card_in(2), card_in(0, 1)
FEATURE = {feature.name: index for index, feature in enumerate(CATALOGUE)}
BOUND_S = 30.0


class Bank:
    """Sends transactions and card events, and reads what came of them."""

    def __init__(self, settings: ScorerSettings, log: KafkaLog) -> None:
        self.settings, self.log = settings, log
        self.store = MemoryProfiles()
        self.sent = 0
        self.features: dict[str, dict[str, float]] = {}
        self.outcomes: dict[str, str] = {}
        self.letters: list[dict[str, Any]] = []

    def now(self) -> str:
        return datetime.now(UTC).isoformat()

    async def send(self, topic: Topic, message: dict[str, Any]) -> None:
        await self.log.send(topic, [Outgoing(message["card"].encode(), json.dumps(message).encode())])

    async def pay(self, card: str, **changes: Any) -> str:
        self.sent += 1
        identifier = f"t{self.sent}"
        message = {"id": identifier, "card": card, "time": self.now(), "amount": 5_000, "currency": "CNY"}
        await self.send(TRANSACTIONS, message | changes)
        return identifier

    async def paid(self, card: str, **changes: Any) -> dict[str, float]:
        """The features of a transaction that is made now."""
        identifier = await self.pay(card, **changes)
        await until(lambda: identifier in self.features and identifier in self.outcomes)
        return self.features[identifier]

    async def say(self, type_: str, card: str, **fields: Any) -> None:
        await self.send(CARD_EVENTS, {"card": card, "type": type_, "time": self.now()} | fields)
        await self.pay(card, kind="refund")  # the partition is now read up to here

    async def read(self) -> None:
        readers = {topic: KafkaReader(self.settings, topic) for topic in (SCORED, DECISIONS, DEAD_LETTERS)}
        for reader in readers.values():
            await reader.start()
        try:
            while True:
                for topic, reader in readers.items():
                    for records in (await reader.poll(0.02)).values():
                        for record in records:
                            self._take(topic, record.value or b"")
        finally:
            for reader in readers.values():
                await reader.stop()

    def _take(self, topic: Topic, value: bytes) -> None:
        if topic is SCORED:
            block = scored.decode(value)
            for identifier, line in zip(block.ids, block.matrix(), strict=True):
                self.features[identifier] = {name: float(line[index]) for name, index in FEATURE.items()}
        elif topic is DECISIONS:
            decision = json.loads(value)
            self.outcomes[decision["id"]] = decision["outcome"]
        else:
            self.letters.append(json.loads(value))

    def history_of(self, card: str) -> bytes | None:
        return self.store.rows.get(place_of(card.encode()), {}).get(card.encode())

    def noted(self, card: str) -> bool:
        return b"@note:" + card.encode() in self.store.rows.get(place_of(card.encode()), {})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def scoring(bank: Bank) -> AsyncIterator[Worker]:
    metrics = ScorerMetrics(CollectorRegistry())
    knowledge = Knowledge(delivered_policy(), delivered_money(), delivered_curve(), KEY, parse)
    scorer = Scorer(bank.log, bank.store, knowledge, place_of, SystemClock(), bank.settings, metrics)
    worker = Worker(bank.settings, TRANSACTIONS, "scorer", scorer)
    scorer.following.lag = lambda: worker.lag
    stop = asyncio.Event()
    await worker.start()
    following = asyncio.create_task(scorer.follow(lambda: KafkaPartsReader(bank.settings), stop))
    try:
        yield worker
    finally:
        stop.set()
        await worker.stop()
        await following


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("cards-broker"), partition_mb=1)
    yield broker.bootstrap
    broker.stop()


def made(bootstrap: str, prefix: str) -> ScorerSettings:
    return ScorerSettings(kafka_bootstrap=bootstrap, topic_prefix=prefix, snapshot_key=None, scorer_checkpoint_ms=20)


def test_parts_are_read_from_where_they_are_wanted(bootstrap: str) -> None:
    """Also once more from the beginning, when a partition comes back to a worker that saved nothing of it."""

    async def story() -> None:
        settings = made(bootstrap, "parts.")
        await create_topics(settings, PARTITIONS)
        log = KafkaLog(settings)
        await log.start()
        for number in range(PARTITIONS):
            await log.append(CARD_EVENTS, {number: [Outgoing(b"k", b"%d" % at) for at in range(3)]})
        reader = KafkaPartsReader(settings)
        await reader.start()

        async def read(places: dict[tuple[Topic, int], int | None]) -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = []
            reader.read(places)
            async with asyncio.timeout(BOUND_S):
                while len(found) < sum(3 - (at or 0) for (topic, _), at in places.items() if topic is CARD_EVENTS):
                    for (_, number), records in (await reader.poll(0.05)).items():
                        found += [(number, record.offset) for record in records]
            return sorted(found)

        everything: dict[tuple[Topic, int], int | None] = {
            (CARD_EVENTS, 0): None,
            (MOVED_ROWS, 0): None,
            (CARD_EVENTS, 2): 1,
        }
        expected = [(0, 0), (0, 1), (0, 2), (2, 1), (2, 2)]
        assert await read(everything) == expected
        assert await read({(CARD_EVENTS, 0): 3, (MOVED_ROWS, 0): None, (CARD_EVENTS, 2): 3}) == []
        assert await read(everything) == expected
        assert await read({(CARD_EVENTS, 1): 2}) == [(1, 2)]
        assert await read({(CARD_EVENTS, 1): 0}) == [(1, 0), (1, 1), (1, 2)]
        await reader.stop()
        await log.stop()

    asyncio.run(story())


def test_histories_and_reports_reach_the_cards_they_are_of(bootstrap: str) -> None:
    async def story() -> None:
        settings = made(bootstrap, "")
        await create_topics(settings, PARTITIONS)
        log = KafkaLog(settings)
        await log.start()
        bank = Bank(settings, log)
        reading = asyncio.create_task(bank.read())
        async with scoring(bank):
            for card in (NEW, NEWER, ROTATED):
                await bank.paid(card)  # every partition has begun
            for _ in range(6):
                await bank.paid(OLD, merchant="m1")

            await bank.say("replaced", OLD, new_card=NEW)
            await until(lambda: bank.noted(NEW))
            features = await bank.paid(NEW, merchant="m2")
            assert features["transactions_seen"] == 7.0
            assert features["new_merchant"] == 1.0, "compared with the old card's habits"
            assert 0.0 <= features["days_since_replaced"] < 1.0
            assert (await bank.paid(OLD))["transactions_seen"] == 6.0, "the old card keeps its own"

            await bank.send(CARD_EVENTS, {"card": OLD, "type": "replaced", "time": "noon", "new_card": NEW})
            await bank.say("lost", OLD)
            await until(lambda: bool(bank.letters))
            assert (bank.letters[0]["topic"], bank.letters[0]["reason"]) == ("card-events", "bad_time")
            assert (bank.letters[0]["partition"], bank.letters[0]["offset"]) == (0, 1)

        async with scoring(bank):  # another worker, from what was saved
            first = await bank.paid(NEWER, previous_card=NEW)
            assert first["transactions_seen"] == 1.0, "nothing waits for the history"
            await bank.pay(NEW, kind="refund")
            await until(lambda: bank.noted(NEWER))
            features = await bank.paid(NEWER)
            assert features["transactions_seen"] == 10.0, "its own two, and eight that the card before it brought"
            assert features["days_since_replaced"] != features["days_since_replaced"], "the same card, another token"

            await until(lambda: bank.noted(OLD))
            await bank.say("wallet_added", ROTATED)
            await until(lambda: bank.noted(ROTATED))
            assert (await bank.paid(ROTATED))["days_since_wallet_added"] < 1.0
            lost = await bank.pay(OLD)
            await until(lambda: lost in bank.outcomes and lost in bank.features)
            assert bank.outcomes[lost] == "decline"
            assert bank.features[lost]["reported_lost"] == 1.0
            assert bank.features[lost]["reported_stolen"] == 0.0
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await log.stop()

    asyncio.run(story())
