"""A group whose handler says how far it got, on any broker: a test module imports these and has a `bootstrap` fixture."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.resuming import ResumingReader
from pipeline.core.topics import CONTACTS, Outgoing
from pipeline.ports import Record
from pipeline.settings import Settings

BOUND_S = 40.0
BATCH = 10


@asynccontextmanager
async def installation(bootstrap: str, prefix: str) -> AsyncIterator[tuple[Settings, KafkaLog]]:
    settings = Settings(kafka_bootstrap=bootstrap, topic_prefix=prefix)
    await create_topics(settings, 2)
    log = KafkaLog(settings)
    await log.start()
    try:
        yield settings, log
    finally:
        await log.stop()


class Taker:
    """A handler that takes so many at a time, and remembers what it was offered and took."""

    def __init__(self, takes: int = 10_000) -> None:
        self.takes = takes
        self.offered: list[int] = []
        self.taken: dict[int, list[int]] = {}

    async def handle(self, records: Sequence[Record]) -> int:
        await asyncio.sleep(0)
        assert len(records) <= BATCH
        self.offered.append(len(records))
        done = records[: self.takes]
        for record in done:
            self.taken.setdefault(record.partition, []).append(record.offset)
        return len(done)

    @property
    def total(self) -> int:
        return sum(len(offsets) for offsets in self.taken.values())


@asynccontextmanager
async def reading(settings: Settings, taker: Taker, group: str = "g", from_now: bool = False) -> AsyncIterator[None]:
    stop = asyncio.Event()
    reader = ResumingReader(settings, CONTACTS, group, taker.handle, BATCH, from_now=from_now, pause_s=0.02)
    running = asyncio.create_task(reader.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(BOUND_S):
            await running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():
            await asyncio.sleep(0.02)


async def feed(log: KafkaLog, count: int) -> None:
    await log.append(CONTACTS, {number: [Outgoing(b"cu%d" % number, b"{}")] * count for number in (0, 1)})


def test_records_are_offered_until_they_are_taken_each_once_and_in_order(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "some.") as (settings, log):
            await feed(log, 35)
            taker = Taker(takes=4)
            async with reading(settings, taker):
                await until(lambda: taker.total == 70)
            assert taker.taken == {0: list(range(35)), 1: list(range(35))}

    asyncio.run(scenario())


def test_what_was_taken_stays_taken_when_the_reader_begins_anew(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "anew.") as (settings, log):
            await feed(log, 7)
            first = Taker(takes=3)
            async with reading(settings, first):
                await until(lambda: first.total == 6)
                first.takes = 0  # the system is away from here on
                offered = len(first.offered)
                await until(lambda: len(first.offered) > offered + 2)
            second = Taker()
            async with reading(settings, second):
                await until(lambda: second.total == 8)
            assert second.taken == {0: [3, 4, 5, 6], 1: [3, 4, 5, 6]}

    asyncio.run(scenario())


def test_two_workers_share_a_system_s_work_and_one_that_leaves_leaves_nothing_undone(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "two.") as (settings, log):
            await feed(log, 20)
            first, second = Taker(takes=2), Taker(takes=2)
            async with reading(settings, second):
                async with reading(settings, first):
                    await until(lambda: first.total > 0 or second.total > 4)
                await feed(log, 20)

                def taken() -> dict[int, set[int]]:
                    return {number: {*first.taken.get(number, []), *second.taken.get(number, [])} for number in (0, 1)}

                await until(lambda: taken() == {0: set(range(40)), 1: set(range(40))})

    asyncio.run(scenario())


def test_a_group_that_wants_to_hear_from_now_on_does_not_hear_the_past(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "now.") as (settings, log):
            await feed(log, 5)
            taker = Taker()
            async with reading(settings, taker, from_now=True):

                async def fed() -> None:
                    while not taker.total:  # it may join after the first of these
                        await feed(log, 1)
                        await asyncio.sleep(0.05)

                async with asyncio.timeout(BOUND_S):
                    await fed()
            assert min(offset for offsets in taker.taken.values() for offset in offsets) >= 5

    asyncio.run(scenario())


def test_an_error_of_the_handler_s_log_begins_again_at_the_last_commit(bootstrap: str) -> None:
    async def scenario() -> None:
        async with installation(bootstrap, "error.") as (settings, log):
            await feed(log, 3)
            taker = Taker()
            take = taker.handle
            failed = []

            async def fails_once(records: Sequence[Record]) -> int:
                if not failed:
                    failed.append(True)
                    raise ConnectionError("the log is away")
                return await take(records)

            taker.handle = fails_once  # type: ignore[method-assign]  # the double is made to fail
            async with reading(settings, taker):
                await until(lambda: taker.total == 6)

    asyncio.run(scenario())
