"""What is read of the log, and when: each record once and in order from where we said, gathered while a poll is under
way, answered at once while none is."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest
from aiokafka import errors
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record._crecords.default_records import DefaultRecordBatchBuilder

from pipeline.adapters.kafka import fetching as module
from pipeline.adapters.kafka.fetching import GATHER_MS, IDLE_MS, Fetching

TOPIC = "transactions"
BOUND_S = 20.0


def batch(first: int, count: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
    for number in range(count):
        builder.append(number, 1_000, key=b"k", value=b"%d" % (first + number), headers=[])
    return first.to_bytes(8, "big") + bytes(builder.build())[8:]


class Response(NamedTuple):
    topics: list[tuple[str, list[tuple[Any, ...]]]]


def answer(*parts: tuple[int, int, bytes]) -> Response:
    """Partition, error code, records."""
    return Response([(TOPIC, [(number, code, 0, 0, [], records) for number, code, records in parts])])


class Cluster:
    def __init__(self, leaders: dict[int, int]) -> None:
        self.leaders = leaders

    def leader_for_partition(self, tp: Any) -> int | None:
        return self.leaders.get(tp.partition)


class Client:
    """Stands in for aiokafka's: requests wait in ``asked`` until the test answers them."""

    def __init__(self, leaders: dict[int, int]) -> None:
        self.cluster = Cluster(leaders)
        self.asked: asyncio.Queue[tuple[int, FetchRequest, asyncio.Future[Any]]] = asyncio.Queue()
        self.updates = 0

    async def bootstrap(self) -> None: ...
    async def set_topics(self, topics: list[str]) -> None: ...
    async def close(self) -> None: ...

    def force_metadata_update(self) -> asyncio.Future[bool]:
        self.updates += 1
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def send(self, node: int, request: FetchRequest) -> Any:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((node, request, reply))
        return await reply


class Scene:
    def __init__(self, client: Client, fetching: Fetching) -> None:
        self.client, self.fetching = client, fetching

    async def next_request(self) -> tuple[int, dict[int, int], FetchRequest, asyncio.Future[Any]]:
        async with asyncio.timeout(BOUND_S):
            node, request, reply = await self.client.asked.get()
        return node, {number: offset for number, offset, _ in request.topics[0][1]}, request, reply

    async def arrived(self) -> dict[int, list[int]]:
        await self.fetching.arrival(BOUND_S)
        return self.taken()

    def taken(self, limit: int = 2_000) -> dict[int, list[int]]:
        return {number: [r.offset for r in records] for number, records in self.fetching.take(limit).items()}


def play(
    monkeypatch: pytest.MonkeyPatch,
    story: Callable[[Scene], Coroutine[Any, Any, None]],
    leaders: dict[int, int],
    ahead: bool = True,
) -> None:
    async def scene() -> None:
        client = Client(leaders)
        monkeypatch.setattr(module, "AIOKafkaClient", lambda **_: client)
        fetching = Fetching({}, TOPIC, ahead)
        await fetching.start()
        try:
            await story(Scene(client, fetching))
        finally:
            await fetching.stop()

    asyncio.run(scene())


def test_records_come_in_order_from_the_offset_we_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 7)
        _, asked, _, reply = await scene.next_request()
        assert asked == {0: 7}
        reply.set_result(answer((0, 0, batch(5, 4) + batch(9, 2))))  # the broker sends whole batches
        assert await scene.arrived() == {0: [7, 8, 9, 10]}
        _, asked, _, _ = await scene.next_request()
        assert asked == {0: 11}
        assert scene.taken() == {}

    play(monkeypatch, story, {0: 1})


def test_an_answer_to_an_older_question_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 7)
        scene.fetching.read(1, 0)
        _, _, _, reply = await scene.next_request()
        scene.fetching.read(0, 3)
        reply.set_result(answer((0, 0, batch(7, 4)), (1, 0, batch(0, 1))))
        assert await scene.arrived() == {1: [0]}
        assert (await scene.next_request())[1] == {0: 3, 1: 1}

    play(monkeypatch, story, {0: 1, 1: 1})


def test_what_was_read_of_a_partition_that_goes_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        scene.fetching.read(1, 0)
        _, _, _, reply = await scene.next_request()
        reply.set_result(answer((0, 0, batch(0, 2)), (1, 0, batch(0, 2))))
        await scene.fetching.arrival(BOUND_S)
        scene.fetching.leave([0])
        assert scene.taken() == {1: [0, 1]}
        scene.fetching.clear()
        assert scene.taken() == {}

    play(monkeypatch, story, {0: 1, 1: 1})


def test_a_fetch_gathers_while_a_poll_is_under_way_and_answers_at_once_while_none_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(scene: Scene) -> None:
        waiting = asyncio.create_task(scene.arrived())
        await asyncio.sleep(0)
        scene.fetching.read(0, 0)
        _, _, request, reply = await scene.next_request()
        assert (request._max_wait_ms, request._min_bytes) == (IDLE_MS, 1)
        reply.set_result(answer((0, 0, batch(0, 1))))
        assert await waiting == {0: [0]}
        _, _, request, reply = await scene.next_request()
        assert (request._max_wait_ms, request._min_bytes) == (GATHER_MS, module.GATHER_BYTES)
        waiting = asyncio.create_task(scene.arrived())
        await asyncio.sleep(0)
        reply.set_result(answer((0, 0, b"")))
        _, _, request, reply = await scene.next_request()
        assert (request._max_wait_ms, request._min_bytes) == (IDLE_MS, 1)
        reply.set_result(answer((0, 0, batch(1, 1))))
        assert await waiting == {0: [1]}

    play(monkeypatch, story, {0: 1})


def test_where_nothing_is_read_ahead_a_fetch_waits_for_the_poll_and_answers_the_first_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        for offset in (0, 1):
            waiting = asyncio.create_task(scene.arrived())
            _, asked, request, reply = await scene.next_request()
            assert asked == {0: offset}
            assert (request._max_wait_ms, request._min_bytes) == (IDLE_MS, 1)
            reply.set_result(answer((0, 0, batch(offset, 1))))
            assert await waiting == {0: [offset]}
            if offset:
                scene.fetching.read(1, 0)  # even when a partition comes
            for _ in range(10):
                await asyncio.sleep(0)
            assert scene.client.asked.empty()

    play(monkeypatch, story, {0: 1, 1: 2}, ahead=False)


def test_while_a_poll_takes_long_and_nothing_comes_fetches_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        _, _, _, reply = await scene.next_request()
        reply.set_result(answer((0, 0, batch(0, 1))))
        assert await scene.arrived() == {0: [0]}
        waits = []
        for _ in range(8):
            _, _, request, reply = await scene.next_request()
            waits.append(request._max_wait_ms)
            reply.set_result(answer((0, 0, b"")))
        assert waits == [1, 2, 4, 8, 16, 32, IDLE_MS, IDLE_MS]
        _, _, request, reply = await scene.next_request()
        reply.set_result(answer((0, 0, batch(1, 1))))
        assert (await scene.next_request())[2]._max_wait_ms == GATHER_MS

    play(monkeypatch, story, {0: 1})


def test_no_more_is_asked_for_while_a_poll_s_worth_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        _, _, _, reply = await scene.next_request()
        reply.set_result(answer((0, 0, batch(0, 2_500))))
        await scene.fetching.arrival(BOUND_S)
        for _ in range(10):
            await asyncio.sleep(0)
        assert scene.client.asked.empty()
        assert scene.taken() == {0: list(range(2_000))}
        assert scene.taken() == {0: list(range(2_000, 2_500))}
        assert (await scene.next_request())[1] == {0: 2_500}

    play(monkeypatch, story, {0: 1})


def test_a_partition_that_came_short_comes_first_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        scene.fetching.read(1, 0)
        _, _, _, reply = await scene.next_request()
        reply.set_result(answer((0, 0, batch(0, 30)), (1, 0, batch(0, 30))))
        await scene.fetching.arrival(BOUND_S)
        assert scene.taken(20) == {0: list(range(20))}
        assert scene.taken(20) == {1: list(range(20))}
        assert scene.taken(20) == {0: list(range(20, 30)), 1: list(range(20, 30))}

    play(monkeypatch, story, {0: 1, 1: 1})


def test_each_broker_is_asked_for_the_partitions_it_leads_and_a_new_leader_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 0)
        scene.fetching.read(1, 0)
        first, second = await scene.next_request(), await scene.next_request()
        assert {first[0]: first[1], second[0]: second[1]} == {1: {0: 0}, 2: {1: 0}}
        of_two = first if first[0] == 2 else second
        scene.client.cluster.leaders[1] = 1
        of_two[3].set_result(answer((1, errors.NotLeaderForPartitionError.errno, b"")))
        of_one = first if first[0] == 1 else second
        of_one[3].set_result(answer((0, 0, batch(0, 1))))
        node, asked, _, reply = await scene.next_request()
        while asked != {0: 1, 1: 0}:
            reply.set_result(answer(*((number, 0, b"") for number in asked)))
            node, asked, _, reply = await scene.next_request()
        assert node == 1
        assert scene.client.updates >= 1

    play(monkeypatch, story, {0: 1, 1: 2})


def test_a_broker_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        scene.fetching.read(0, 4)
        _, _, _, reply = await scene.next_request()
        reply.set_exception(errors.KafkaConnectionError("gone"))
        _, asked, _, reply = await scene.next_request()
        assert asked == {0: 4}
        reply.set_result(answer((0, 0, batch(4, 1))))
        assert await scene.arrived() == {0: [4]}

    play(monkeypatch, story, {0: 1})


def test_an_offset_outside_the_log_is_said_and_nothing_else_is_read_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(scene: Scene) -> None:
        said: list[tuple[int, int]] = []

        async def outside(partition: int, offset: int) -> None:
            said.append((partition, offset))

        scene.fetching.outside = outside
        scene.fetching.read(0, 40)
        _, _, _, reply = await scene.next_request()
        reply.set_result(answer((0, errors.OffsetOutOfRangeError.errno, b"")))
        _, asked, _, _ = await scene.next_request()
        assert asked == {0: 40}
        assert said == [(0, 40)]

    play(monkeypatch, story, {0: 1})


def test_an_arrival_that_does_not_come_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(scene: Scene) -> None:
        await scene.fetching.arrival(0.01)
        assert scene.taken() == {}

    play(monkeypatch, story, {})
