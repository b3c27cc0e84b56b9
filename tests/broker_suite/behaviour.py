"""What any broker we run on must do. The same tests run on the embedded broker and on Apache Kafka: a test module
imports them all and has a `bootstrap` fixture."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from broker_suite.raw_client import batch, raw_client
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

UNKNOWN_TOPIC, ILLEGAL_GENERATION, UNKNOWN_MEMBER, TOPIC_EXISTS, OUT_OF_ORDER = 3, 22, 25, 36, 45
BOUND_S = 20.0
"""No wait is longer; none is meant to be."""


@pytest.fixture
def make_topic(bootstrap: str) -> Callable[[int], str]:
    """Make a topic of so many partitions, under a name of its own."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def make(partitions: int) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            future.result(BOUND_S)
        deadline = time.monotonic() + BOUND_S
        while not served(name, partitions):
            assert time.monotonic() < deadline, f"{name} has no leader yet"
        return name

    def served(name: str, partitions: int) -> bool:
        """Apache Kafka answers a creation before the new partitions' leader knows of them."""
        everywhere = {Place(name, number): OffsetSpec.latest() for number in range(partitions)}
        try:
            for future in admin.list_offsets(everywhere).values():
                future.result(BOUND_S)
        except KafkaException:
            return False
        return True

    return make


def member(bootstrap: str, group: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=100,
        fetch_max_wait_ms=50,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


def new_group() -> str:
    return f"g-{uuid.uuid4().hex[:12]}"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0.01)


def shared_by(members: list[AIOKafkaConsumer], topic: str, partitions: int) -> bool:
    """Each partition has exactly one of the members, and each member at least one partition."""
    held = [{tp.partition for tp in one.assignment()} for one in members]
    return all(held) and sorted(itertools.chain(*held)) == list(range(partitions))


def test_records_come_back_in_order_with_their_offsets(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(2)
    sent = [(b"k%d" % n if n % 2 else None, None if n % 6 == 1 else b"v%d" % n, [("h", b"%d" % n)]) for n in range(50)]

    async def run() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
            for number, (key, value, headers) in enumerate(sent):
                stored = await producer.send_and_wait(
                    topic, value, key, partition=1, headers=headers, timestamp_ms=1_000 + number
                )
                assert stored.offset == number
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            consumer.assign([TopicPartition(topic, 1)])
            async with asyncio.timeout(BOUND_S):
                got = [await consumer.getone() for _ in sent]
        assert [(r.key, r.value, list(r.headers)) for r in got] == sent
        assert [(r.offset, r.timestamp) for r in got] == [(n, 1_000 + n) for n in range(50)]

    asyncio.run(run())


def test_a_reader_may_begin_in_the_middle_of_a_batch(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(1)

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            assert (await client.produce(topic, 0, batch([b"0", b"1", b"2"])))[0] == 0
            assert (await client.produce(topic, 0, batch([b"3", b"4"])))[0] == 0
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek(TopicPartition(topic, 0), 2)
            async with asyncio.timeout(BOUND_S):
                got = [await consumer.getone() for _ in range(3)]
        assert [(r.offset, r.value) for r in got] == [(2, b"2"), (3, b"3"), (4, b"4")]

    asyncio.run(run())


def test_a_topic_is_made_with_its_partitions_and_only_once(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(5)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    assert len(admin.list_topics(topic, timeout=BOUND_S).topics[topic].partitions) == 5
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([NewTopic(topic, 5, 1)])[topic].result(BOUND_S)
    assert refused.value.args[0].code() == TOPIC_EXISTS


def test_an_unknown_topic_is_an_error_and_is_not_made(bootstrap: str) -> None:
    async def run() -> None:
        name = f"missing-{uuid.uuid4().hex[:12]}"
        async with raw_client(bootstrap) as client:
            assert await client.metadata_error(name) == UNKNOWN_TOPIC
            assert (await client.produce(name, 0, batch([b"x"])))[0] == UNKNOWN_TOPIC
            assert (await client.fetch(name, 0, 0, max_wait_ms=0))[0] == UNKNOWN_TOPIC
            assert await client.metadata_error(name) == UNKNOWN_TOPIC

    asyncio.run(run())


def test_a_waiting_fetch_is_answered_by_the_next_produce(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(1)

    async def run() -> None:
        async with raw_client(bootstrap) as reader, raw_client(bootstrap) as writer:
            waiting = asyncio.create_task(reader.fetch(topic, 0, 0, max_wait_ms=int(2_000 * BOUND_S)))
            await writer.metadata_error(topic)  # the fetch is on its way before this answer comes back
            assert not waiting.done()
            assert (await writer.produce(topic, 0, batch([b"x"])))[0] == 0
            error, data = await asyncio.wait_for(waiting, BOUND_S)
            assert error == 0
            assert b"x" in data

    asyncio.run(run())


def test_a_batch_sent_again_is_answered_with_its_first_offset(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(1)

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            producer = await client.producer_id()
            batches = [batch([b"a%d" % n, b"b%d" % n], producer, sequence=2 * n) for n in range(5)]
            first = [await client.produce(topic, 0, one) for one in batches]
            again = [await client.produce(topic, 0, one) for one in batches]
            assert first == again == [(0, 2 * n) for n in range(5)]
            assert await client.produce(topic, 0, batch([b"x"], producer, sequence=14)) == (OUT_OF_ORDER, -1)
            assert await client.produce(topic, 0, batch([b"x"], producer, sequence=10)) == (0, 10)

    asyncio.run(run())


def test_offsets_are_found_by_position_and_time(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(2)
    here, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            assert (await client.produce(topic, 0, batch([b"0", b"1", b"2"])))[
                0
            ] == 0  # times 1_700_000_000_000, …001, …002
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            assert await consumer.beginning_offsets([here, empty]) == {here: 0, empty: 0}
            assert await consumer.end_offsets([here, empty]) == {here: 3, empty: 0}
            found = await consumer.offsets_for_times({here: 1_700_000_000_001})
            assert (found[here].offset, found[here].timestamp) == (1, 1_700_000_000_001)
            assert (await consumer.offsets_for_times({here: 5}))[here].offset == 0
            assert await consumer.offsets_for_times({here: 1_700_000_000_003}) == {here: None}

    asyncio.run(run())


def test_an_offset_outside_the_log_is_said_to_be(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(1)

    async def run() -> None:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="none") as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek(TopicPartition(topic, 0), 100)
            with pytest.raises(OffsetOutOfRangeError):
                await asyncio.wait_for(consumer.getone(), BOUND_S)

    asyncio.run(run())


@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_group_shares_all_partitions(bootstrap: str, make_topic: Callable[[int], str], members: int) -> None:
    topic, group = make_topic(6), new_group()

    async def run() -> None:
        consumers = [member(bootstrap, group, topic) for _ in range(members)]
        try:
            await asyncio.gather(*(one.start() for one in consumers))
            await until(lambda: shared_by(consumers, topic, 6))
        finally:
            await asyncio.gather(*(one.stop() for one in consumers))

    asyncio.run(run())


def test_when_a_member_leaves_the_others_take_over(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic, group = make_topic(6), new_group()

    async def run() -> None:
        consumers = [member(bootstrap, group, topic) for _ in range(3)]
        try:
            await asyncio.gather(*(one.start() for one in consumers))
            await until(lambda: shared_by(consumers, topic, 6))
            await consumers.pop().stop()
            await until(lambda: shared_by(consumers, topic, 6))
        finally:
            await asyncio.gather(*(one.stop() for one in consumers))

    asyncio.run(run())


def test_when_a_member_falls_silent_the_others_take_over(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic, group = make_topic(4), new_group()

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            await client.coordinator_ready(group)
            silent, generation = await client.join(group, session_ms=600, protocol="roundrobin")
            consumer = member(bootstrap, group, topic)
            try:
                await asyncio.wait_for(consumer.start(), BOUND_S)  # joins; the silent one never joins again
                await until(lambda: shared_by([consumer], topic, 4))
                assert await client.commit(group, silent, generation, topic, 1) == UNKNOWN_MEMBER
            finally:
                await consumer.stop()

    asyncio.run(run())


def test_only_the_present_generation_may_commit(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic, group = make_topic(1), new_group()

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            await client.coordinator_ready(group)
            name, generation = await client.join(group, session_ms=10_000)
            assert await client.commit(group, name, generation, topic, 1) == 0
            assert await client.commit(group, name, generation - 1, topic, 2) == ILLEGAL_GENERATION
            assert await client.commit(group, "somebody", generation, topic, 3) == UNKNOWN_MEMBER
            assert await client.commit(group, "", -1, topic, 4) == UNKNOWN_MEMBER  # simple, but there is a member
            assert await client.leave(group, name) == 0
            assert await client.commit(group, name, generation, topic, 5) == UNKNOWN_MEMBER
            assert await client.commit(group, "", -1, topic, 6) == 0

    asyncio.run(run())


def test_committed_offsets_come_back(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic, group = make_topic(1), new_group()
    here = TopicPartition(topic, 0)

    async def run() -> None:
        async with raw_client(bootstrap) as client:
            assert (await client.produce(topic, 0, batch([b"0", b"1", b"2"])))[0] == 0
        async with member(bootstrap, group, topic) as consumer:
            assert await consumer.committed(here) is None
            await consumer.commit({here: (2, "note")})
            assert await consumer.committed(here) == 2
        async with member(bootstrap, group, topic) as consumer, asyncio.timeout(BOUND_S):
            assert (await consumer.getone()).offset == 2

    asyncio.run(run())


def test_librdkafka_produces_and_consumes_with_a_group(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    topic = make_topic(3)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0})
    for number in range(300):
        producer.produce(topic, b"v%d" % number, b"k%d" % (number % 10))
    assert producer.flush(BOUND_S) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": new_group(),
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        consumer.subscribe([topic])
        got: list[bytes] = []
        while len(got) < 300:
            message = consumer.poll(BOUND_S)
            assert message is not None
            assert message.error() is None
            got.append(message.value())
        assert sorted(got) == sorted(b"v%d" % number for number in range(300))
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()
