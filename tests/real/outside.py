"""The world around Cardwatch, played by a client that is none of ours (librdkafka): it produces transactions as a card
switch would, and reads topics whole to count what came out."""

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

WAIT_S = 60.0


def payment(identifier: str, series: str, cards: int, number: int, moment: float) -> dict[str, object]:
    """A transaction at ``moment`` (unix seconds) by one of ``cards`` cards whose tokens begin with ``series``; all the
    rest is drawn from its ``number``."""
    drawn = random.Random(number)
    return {
        "id": identifier,
        "card": f"{series}_{drawn.randrange(cards):024x}",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
        "amount": drawn.randrange(100, 200_000),
        "currency": "CNY",
        "merchant": f"m{drawn.randrange(50)}",
        "mcc": "5411",
        "country": drawn.choice(["CN", "CN", "CN", "TH"]),
        "entry_mode": drawn.choice(["chip", "contactless", "ecommerce"]),
    }


def overdue_bill(account: str, customer: str) -> dict[str, object]:
    """A record of ``accounts``: due two days ago, so reminded of at once."""
    today = datetime.now(UTC).date()
    return {
        "type": "statement",
        "id": f"{account}-bill",
        "account": account,
        "customer": customer,
        "statement_date": (today - timedelta(days=22)).isoformat(),
        "due_date": (today - timedelta(days=2)).isoformat(),
        "currency": "CNY",
        "balance": 100_000,
        "minimum_due": 20_000,
    }


class Read(NamedTuple):
    """One record as librdkafka saw it."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.value or b"null")
        return found


class Outside:
    """A producer and a reader on one installation's topics."""

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "enable.idempotence": True,
            }
        )

    def produce(self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            assert error is None, error

        arguments = {} if partition < 0 else {"partition": partition}
        self.producer.produce(self._prefix + topic, value, key=key, on_delivery=delivered, **arguments)
        self.producer.poll(0)

    def produce_json(self, topic: str, key: str, value: Mapping[str, Any]) -> None:
        self.produce(topic, key.encode(), json.dumps(value, ensure_ascii=False).encode())

    def flush(self) -> None:
        assert self.producer.flush(WAIT_S) == 0, "not everything was delivered"

    def read(self, topic: str) -> list[Read]:
        """All records that are in ``topic`` now, partition by partition in offset order."""
        name = self._prefix + topic
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "outside",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            numbers = (
                AdminClient({"bootstrap.servers": self._bootstrap}).list_topics(name, WAIT_S).topics[name].partitions
            )
            left: dict[int, int] = {}
            starts = []
            for number in numbers:
                low, high = consumer.get_watermark_offsets(TopicPartition(name, number), WAIT_S)
                if high > low:
                    left[number] = high
                    starts.append(TopicPartition(name, number, low))
            consumer.assign(starts)
            found: list[Read] = []
            deadline = time.monotonic() + WAIT_S
            while left:
                assert time.monotonic() < deadline, f"{name}: {left} not reached in {WAIT_S} s"
                for message in consumer.consume(5_000, 0.1):
                    assert message.error() is None, message.error()
                    found.append(_read(message))
                    if message.offset() + 1 >= left.get(message.partition(), 0):
                        left.pop(message.partition(), None)
            return sorted(found, key=lambda record: (record.partition, record.offset))
        finally:
            consumer.close()

    def wait_for(self, topic: str, enough: Callable[[list[Read]], bool], wait_s: float = WAIT_S) -> list[Read]:
        """Read ``topic`` again and again until ``enough`` says so. Fails after ``wait_s``."""
        deadline = time.monotonic() + wait_s
        while True:
            records = self.read(topic)
            if enough(records):
                return records
            assert time.monotonic() < deadline, f"{topic}: still {len(records)} records after {wait_s} s"
            time.sleep(0.2)


def _read(message: Message) -> Read:
    return Read(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        {name: value if isinstance(value, bytes) else str(value).encode() for name, value in message.headers() or ()},
    )


def first_of_each(decisions: Iterable[Read]) -> tuple[list[Read], list[Read]]:
    """Split a topic's decisions into the ones that count and their repeats, by the written rule: within a partition a
    record whose ``source_offset`` is below the next expected one is a repeat."""
    following: dict[int, int] = {}
    counted: list[Read] = []
    repeats: list[Read] = []
    for record in decisions:
        offset = int(record.headers["source_offset"])
        if offset < following.get(record.partition, 0):
            repeats.append(record)
        else:
            following[record.partition] = offset + 1
            counted.append(record)
    return counted, repeats
