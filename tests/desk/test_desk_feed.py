"""The feed: where it begins, what it does when the broker goes, and what the page is told meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from desk_story import NOW_MS, Written, command, decision, result, step

from pipeline.core.topics import CARD_COMMAND_RESULTS, CARD_COMMANDS, CONTACTS, DECISIONS, Topic
from pipeline.desk.feed import Feed, Link
from pipeline.desk.projection import Projection
from pipeline.ports import Poll


class Broker:
    """Logs in memory. ``down``: nothing is answered. ``silent``: polls stay empty and ends never come, as with a
    client library that retries for ever."""

    def __init__(self) -> None:
        self.logs: dict[str, list[list[Written]]] = {}
        self.down = False
        self.silent = False
        self.missing: set[str] = set()
        self.open = 0

    def write(self, topic: Topic, *records: Written) -> None:
        log = self.logs.setdefault(topic.name, [[], []])
        for record in records:
            part = log[record.partition]
            part.append(record._replace(offset=len(part)))

    def reader(self, topic: Topic) -> "MemoryReader":
        return MemoryReader(self, topic.name)


class MemoryReader:
    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic = broker, topic
        self._positions: dict[int, int] | None = None

    def _log(self) -> list[list[Written]]:
        if self._broker.down:
            raise ConnectionError("no broker")
        return self._broker.logs.setdefault(self._topic, [[], []])

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        while self._topic in self._broker.missing:
            await asyncio.sleep(0)
        self._log()
        assert self._positions is None, "started twice"
        self._positions = {number: (positions or {}).get(number, 0) for number in range(2)}
        self._broker.open += 1
        return [0, 1]

    async def ends(self) -> dict[int, int]:
        while self._broker.silent:
            await asyncio.sleep(0)
        return {number: len(part) for number, part in enumerate(self._log())}

    async def poll(self, timeout_s: float) -> Poll:
        await asyncio.sleep(0)
        assert self._positions is not None
        if self._broker.silent:
            return {}
        found = {}
        for number, part in enumerate(self._log()):
            records = part[self._positions[number] : self._positions[number] + 10]
            if records:
                found[number] = records
                self._positions[number] += len(records)
        return found

    async def stop(self) -> None:
        if self._positions is not None:
            self._positions = None
            self._broker.open -= 1


@asynccontextmanager
async def fed(broker: Broker, backlog: int = 1_000) -> AsyncIterator[tuple[Feed, Projection]]:
    projection = Projection()
    feed = Feed(broker.reader, projection, backlog=backlog, heartbeat_s=0, first_retry_s=0, answer_s=0.02)
    running = asyncio.create_task(feed.run())
    try:
        yield feed, projection
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert broker.open == 0, "a reader was left open"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def test_all_four_topics_are_told() -> None:
    async def scene() -> None:
        broker = Broker()
        broker.write(DECISIONS, decision(0))
        broker.write(CONTACTS, step("t0-0", "sending"))
        broker.write(CARD_COMMANDS, command("t0-0", "hold", "h1"))
        broker.write(CARD_COMMAND_RESULTS, result("h1"))
        async with fed(broker) as (feed, projection):
            await until(lambda: bool(projection.story("t0-0").steps) and len(projection) == 1)
            await until(lambda: [told.done for told in projection.story("t0-0").commands] == [True])
            assert feed.link is Link.live

    asyncio.run(scene())


def test_a_starting_desk_reads_a_bounded_way_back() -> None:
    async def scene() -> None:
        broker = Broker()
        broker.write(DECISIONS, *(decision(number, timestamp_ms=NOW_MS + number) for number in range(100)))
        broker.write(DECISIONS, *(decision(number, partition=1) for number in range(3)))
        async with fed(broker, backlog=10) as (_, projection):
            await until(lambda: projection.counting.total >= 13)
            assert projection.alert("t0-90") is not None
            assert projection.alert("t0-89") is None
            assert projection.counting.total == 13

    asyncio.run(scene())


def test_a_broker_that_comes_back_is_read_on_from_where_we_left_off() -> None:
    async def scene() -> None:
        broker = Broker()
        broker.write(DECISIONS, decision(0))
        async with fed(broker, backlog=1) as (feed, projection):
            await until(lambda: len(projection) == 1)
            broker.down = True
            await until(lambda: feed.link is Link.reconnecting)
            broker.write(DECISIONS, decision(1), decision(2), decision(3))
            broker.down = False
            await until(lambda: feed.link is Link.live and len(projection) == 4)

    asyncio.run(scene())


def test_a_broker_that_falls_silent_is_noticed_though_no_call_fails() -> None:
    async def scene() -> None:
        broker = Broker()
        async with fed(broker) as (feed, _):
            await until(lambda: feed.link is Link.live)
            broker.silent = True
            await until(lambda: feed.link is Link.reconnecting)
            broker.silent = False
            await until(lambda: feed.link is Link.live)

    asyncio.run(scene())


def test_a_broker_that_forgot_everything_is_believed() -> None:
    async def scene() -> None:
        broker = Broker()
        broker.write(DECISIONS, *(decision(number) for number in range(50)))
        async with fed(broker) as (feed, projection):
            await until(lambda: len(projection) == 50)
            broker.down = True
            await until(lambda: feed.link is Link.reconnecting)
            broker.logs.clear()
            broker.write(DECISIONS, decision(0, id="after"))
            broker.down = False
            await until(lambda: projection.alert("after") is not None)
            assert len(projection) == 1

    asyncio.run(scene())


def test_a_topic_that_does_not_exist_yet_holds_up_no_other() -> None:
    async def scene() -> None:
        broker = Broker()
        broker.missing = {CARD_COMMAND_RESULTS.name}
        broker.write(DECISIONS, decision(0))
        async with fed(broker) as (feed, projection):
            await until(lambda: len(projection) == 1)
            assert feed.link is Link.live

    asyncio.run(scene())


def test_before_the_first_answer_the_desk_says_it_is_connecting() -> None:
    feed = Feed(Broker().reader, Projection())
    assert feed.link is Link.connecting
