"""Kafka as the benchmark's own client sees it: librdkafka, which none of the measured programs but one uses.

Sender and receiver must cost little beside what they measure, so records are sent and taken in C, many at a time where
no latency is read.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.core.topics import Topic
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.stream import Stream

PARTITIONS = 4
ANSWER_S = 10.0
HERE_S = 5.0
FLUSH_S = 120.0
BATCH = 5_000
QUEUE_RECORDS = 2_000_000
QUIET = {"log_level": 0}


class Cluster:
    """One Kafka cluster, reached in plain text at ``bootstrap``."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
        self._created: dict[str, Future[None]] = {}

    def check(self) -> None:
        """Raises BenchFailed when no broker answers."""
        try:
            self._admin.list_topics(timeout=HERE_S)
        except KafkaException:
            raise BenchFailed(
                f"no Kafka broker answers at {self.bootstrap}: is CARDWATCH_KAFKA_BOOTSTRAP right?"
            ) from None

    def create(self, prefix: str, topics: Iterable[Topic]) -> None:
        """Create ``topics`` as the installation does, their names behind ``prefix``."""
        wanted = [
            NewTopic(
                prefix + topic.name,
                topic.partitions or PARTITIONS,
                1,
                config={"cleanup.policy": "compact"} if topic.compacted else {},
            )
            for topic in topics
        ]
        creating = self._admin.create_topics(wanted)
        self._created |= creating
        for created in creating.values():
            created.result()

    def delete(self, prefix: str) -> int:
        """Delete every topic and every consumer group in whose name ``prefix`` occurs: some programs put words of their
        own before the names they derive. Answers how many topics there were."""
        ours = {name: created for name, created in self._created.items() if prefix in name}
        wait(ours.values(), ANSWER_S)  # an interrupted creation may be on its way: it would come after the deletion
        listed_topics = self._admin.list_topics(timeout=ANSWER_S).topics
        topics = sorted({name for name in listed_topics if prefix in name} | set(ours))
        for deleted in (self._admin.delete_topics(topics) if topics else {}).values():
            error = deleted.exception()
            if error is not None and error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # gone is what we want
                raise error
        for name in ours:
            del self._created[name]
        listed = self._admin.list_consumer_groups(request_timeout=ANSWER_S).result().valid
        groups = [group.group_id for group in listed if prefix in group.group_id]
        if groups:  # one whose member was killed a moment ago stays; the broker forgets an empty group by itself
            wait(self._admin.delete_consumer_groups(groups).values(), ANSWER_S)
        return len(topics)

    def producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "linger.ms": 0,
                "queue.buffering.max.messages": QUEUE_RECORDS,
                "partitioner": "murmur2_random",
                **QUIET,
            }
        )

    def reader(self, topic: str, partitions: int = PARTITIONS) -> Consumer:
        """Reads all of ``topic`` from its beginning."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{topic}.reader",  # never joined: partitions are assigned, nothing is committed
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                **QUIET,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        return consumer


def preload(producer: Producer, topic: str, stream: Stream, numbers: Iterable[int]) -> None:
    """Put the transactions of ``numbers`` onto ``topic`` and wait until all are acknowledged."""
    put(producer, topic, ((stream.key(number), stream.value(number)) for number in numbers))


def put(producer: Producer, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Put ``records``, keys and values, onto ``topic`` and wait until all are acknowledged."""
    for count, (key, value) in enumerate(records):
        producer.produce(topic, value, key=key)
        if count % 1_000 == 0:
            producer.poll(0)
    if producer.flush(FLUSH_S):
        raise BenchFailed(f"Kafka did not acknowledge all of {topic} in {FLUSH_S:g} s")


def usable(messages: Iterable[Message]) -> list[Message]:
    """``messages`` without what only tells of an error that librdkafka gets over by itself."""
    return [message for message in messages if message.error() is None]


class Took(Protocol):
    """What a `Receiver` reports to."""

    def took(self, partition: int, value: bytes, moment: float) -> None:
        """A record came at ``moment`` of the performance counter. Called in the receiver's thread."""


class Receiver(threading.Thread):
    """Takes one record at a time and notes when it came. (Asking for many at once would wait for the batch to fill,
    and add those milliseconds to what is measured.)"""

    def __init__(self, consumer: Consumer, took: Took) -> None:
        super().__init__(name="bench-receiver", daemon=True)
        self._consumer = consumer
        self._took = took
        self._ending = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._ending.is_set():
                message = self._consumer.poll(0.01)
                if message is not None and message.error() is None:
                    self._took.took(message.partition(), message.value(), time.perf_counter())
        except BaseException as error:
            self.failed = error

    def __enter__(self) -> "Receiver":
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ending.set()
        self.join()
        if self.failed is not None and raised[0] is None:
            raise self.failed
