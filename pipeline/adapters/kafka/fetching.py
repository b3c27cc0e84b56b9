"""Reading the log ahead of the role, on a connection of its own.

The records of a poll are fetched by this reader, not by the group's consumer, which is left to membership alone. It
knows which offset it asked for, so nothing stale, skipped or twice can be handed over; and one rule sets the batch
size: **while a poll is being handled, the next fetch gathers** (the broker waits `GATHER_MS` and answers with all that
has come), **and while nothing is being handled, it answers the first record**. A consumer that fetches what is there
when the last poll ends would wait a round trip more; one that takes each record at once would make polls of one.

A role that leaves nearly every record alone is done with a poll before a fetch that gathers would be answered, and each
record would only wait for that answer: for it nothing is read ahead, and every fetch answers the first record.

One request is under way per broker. What is fetched and not yet taken is bounded: no request is sent while a poll's
worth of records waits.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

from pipeline.adapters.kafka.ending import EXIT_CRASHED, end_process
from pipeline.adapters.kafka.records import DamagedBatch, Fetched, unpack
from pipeline.ports import MAX_POLL_RECORDS, Poll

IDLE_MS = 50
"""How long a fetch waits for the first record: a partition added meanwhile joins the next one."""
GATHER_MS = 1
GATHER_BYTES = 1 << 20
PARTITION_BYTES = 1 << 18
REQUEST_BYTES = 4 << 20
RETRY_S = 0.1
_ISOLATION = 0
"""Read what is in the log: producers of transactions that abort are none we know of."""
_METADATA_ERRORS = (kafka_errors.NotLeaderForPartitionError, kafka_errors.UnknownTopicOrPartitionError)

log = structlog.get_logger()


class _Place:
    """Where a partition is read, and what was read and not yet taken."""

    __slots__ = ("next", "records")

    def __init__(self, following: int) -> None:
        self.next = following
        self.records: deque[list[Fetched]] = deque()


class Fetching:
    """Reads some partitions of one topic, from offsets it is told.

    ``arguments``: how to reach the brokers (`connection.client_arguments`). ``outside`` is asked about an offset that
    the broker says is not in its log; it ends the process, or returns when it is inside after all. ``ahead``: also while
    a poll is being handled.
    """

    def __init__(self, arguments: Mapping[str, Any], topic: str, ahead: bool = True) -> None:
        self._arguments = dict(arguments)
        self._topic = topic
        self._ahead = ahead
        self._client: Any = None
        self._places: dict[int, _Place] = {}
        self._waiting = 0
        self._eager = True
        self._gather_ms = GATHER_MS
        self._arrived = asyncio.Event()
        self._changed: dict[int, asyncio.Event] = {}
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._director: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self.outside: Callable[[int, int], Awaitable[None]] = _no_way_back

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        self._client = AIOKafkaClient(**self._arguments)
        await self._client.bootstrap()
        await self._client.set_topics([self._topic])
        self._director = asyncio.create_task(self._direct())

    async def stop(self) -> None:
        tasks = [task for task in (self._director, *self._readers.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    # --- what to read

    def read(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on."""
        self.leave((partition,))
        self._places[partition] = _Place(offset)
        self._moved.set()

    def leave(self, partitions: Iterable[int]) -> None:
        """Read these no more, and forget what was read of them."""
        for partition in partitions:
            place = self._places.pop(partition, None)
            if place is not None:
                self._waiting -= sum(map(len, place.records))

    def clear(self) -> None:
        self._places = {}
        self._waiting = 0

    def _wake(self) -> None:
        for event in self._changed.values():
            event.set()

    # --- what was read

    async def arrival(self, timeout_s: float) -> None:
        """Wait until there is something to take, or the time is out. Until then fetches answer the first record."""
        if self._waiting:
            return
        self._arrived.clear()
        self._eager = True
        if not self._ahead:
            self._wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()

    def take(self, limit: int = MAX_POLL_RECORDS) -> Poll:
        """What has been read, at most ``limit`` records; partitions that come short now come first next time."""
        poll: dict[int, list[Fetched]] = {}
        for partition, place in list(self._places.items()):
            if not place.records:
                continue
            if limit <= 0:
                break
            taken = poll[partition] = place.records.popleft()
            while place.records and len(taken) + len(place.records[0]) <= limit:
                taken.extend(place.records.popleft())
            if len(taken) > limit:
                place.records.appendleft(taken[limit:])
                del taken[limit:]
            limit -= len(taken)
            self._waiting -= len(taken)
            self._places[partition] = self._places.pop(partition)  # to the end
        if poll:
            self._eager = False
            self._wake()
        return poll

    # --- reading

    async def _direct(self) -> None:
        """Keep one reader per broker that leads a partition of ours."""
        while True:
            self._moved.clear()
            for partition in self._places:
                leader = self._leader(partition)
                if leader is None:
                    self._client.force_metadata_update()
                elif leader not in self._readers or self._readers[leader].done():
                    self._changed[leader] = asyncio.Event()
                    task = self._readers[leader] = asyncio.create_task(self._follow(leader))
                    task.add_done_callback(_crash_with)
            for event in self._changed.values():
                event.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._leaderless() else None):
                    await self._moved.wait()

    def _leader(self, partition: int) -> int | None:
        leader = self._client.cluster.leader_for_partition(TopicPartition(self._topic, partition))
        return None if leader is None or leader < 0 else int(leader)

    def _leaderless(self) -> bool:
        return any(self._leader(partition) is None for partition in self._places)

    async def _follow(self, node: int) -> None:
        """Fetch from one broker for as long as the program runs."""
        changed = self._changed[node]
        while True:
            changed.clear()
            wanted = self._wanted(node) if self._may_ask() else {}
            if not wanted:
                await changed.wait()
                continue
            wait, least = (IDLE_MS, 1) if self._eager else (self._gather_ms, GATHER_BYTES)
            asked = [(partition, offset, PARTITION_BYTES) for partition, offset in wanted.items()]
            request = FetchRequest(wait, least, REQUEST_BYTES, _ISOLATION, [(self._topic, asked)])
            try:
                response = await self._client.send(node, request)
            except kafka_errors.KafkaError as error:
                log.info("a broker did not answer a fetch", node=node, error=repr(error))
                self._client.force_metadata_update()
                await asyncio.sleep(RETRY_S)
                self._moved.set()  # its partitions may have another leader by now
                continue
            if not await self._received(response, wanted):
                await asyncio.sleep(RETRY_S)

    def _may_ask(self) -> bool:
        return self._waiting < MAX_POLL_RECORDS if self._ahead else self._eager

    def _wanted(self, node: int) -> dict[int, int]:
        return {number: place.next for number, place in self._places.items() if self._leader(number) == node}

    async def _received(self, response: Any, wanted: Mapping[int, int]) -> bool:
        """Take in what was answered; False when something went wrong that a pause may mend."""
        fine, waited = True, self._waiting
        for _, partitions in response.topics:
            for number, code, _, *_, records in partitions:
                place = self._places.get(number)
                if place is None or place.next != wanted[number]:
                    continue  # read from elsewhere by now
                if code:
                    fine = False
                    await self._refused(number, place, kafka_errors.for_code(code))
                elif records:
                    self._unpack(number, place, records)
        if self._waiting:
            self._eager = False
            self._arrived.set()
        # while a poll takes long and nothing comes, as when a store is away, the broker need not be asked by the ms
        self._gather_ms = GATHER_MS if self._waiting > waited else min(2 * self._gather_ms, IDLE_MS)
        return fine

    async def _refused(self, number: int, place: _Place, error: type[Exception]) -> None:
        if issubclass(error, kafka_errors.OffsetOutOfRangeError):
            await self.outside(number, place.next)
            return
        log.warning("a partition can't be fetched just now", partition=number, error=error.__name__)
        if issubclass(error, _METADATA_ERRORS):
            await self._client.force_metadata_update()
            self._moved.set()

    def _unpack(self, number: int, place: _Place, data: bytes) -> None:
        try:
            for records, following in unpack(data, number, place.next):
                if records:
                    place.records.append(records)
                    self._waiting += len(records)
                place.next = following
        except DamagedBatch as error:
            end_process(EXIT_CRASHED, "a batch arrived damaged", error=str(error))


async def _no_way_back(partition: int, offset: int) -> None:
    raise RuntimeError(f"offset {offset} is not in the log of partition {partition}")


def _crash_with(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        end_process(EXIT_CRASHED, "the reader failed", error=repr(error))
