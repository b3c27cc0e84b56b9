"""Readers beside the one-event-per-poll worker: all partitions for one process, or a share of them in a group.

`KafkaReader` assigns itself every partition and keeps its own positions (learner, desk). `GroupReader` shares a topic
among the workers of a role, hands over whole polls and commits when they are handled, so its handlers see a record at
least once and must not mind a repeat (customers' directory, answers).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from pipeline.adapters.kafka.connection import client_arguments
from pipeline.core.topics import Topic
from pipeline.ports import MAX_POLL_RECORDS, Poll, Record
from pipeline.settings import Settings

RETRY_S = 1.0
FETCH_WAIT_MS = 50
Handler = Callable[[Sequence[Record]], Awaitable[None]]
log = structlog.get_logger()


class KafkaReader:
    """The Reader port: every partition of one topic, from positions of the caller's choosing. ``since_ms``: from the first
    record of that time on instead; of a partition without one, from its last record."""

    def __init__(self, settings: Settings, topic: Topic, since_ms: int | None = None) -> None:
        self._topic = settings.topic_prefix + topic.name
        self._arguments = client_arguments(settings)
        self._since_ms = since_ms
        self._consumer: Any = None

    async def start(self, positions: Mapping[int, int] | None = None) -> Sequence[int]:
        consumer = AIOKafkaConsumer(
            **self._arguments,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_poll_records=MAX_POLL_RECORDS,
        )
        self._consumer = consumer  # `stop` ends it, also when this start goes no further
        await consumer.start()
        numbers = await self._partitions()
        mine = [TopicPartition(self._topic, number) for number in numbers]
        consumer.assign(mine)
        beginnings = await consumer.beginning_offsets(mine)
        wanted = await self._since(mine) if self._since_ms is not None else positions or {}
        for partition in mine:
            consumer.seek(partition, max(wanted.get(partition.partition, 0), beginnings[partition]))
        return numbers

    async def _since(self, mine: Sequence[TopicPartition]) -> Mapping[int, int]:
        found = await self._consumer.offsets_for_times(dict.fromkeys(mine, self._since_ms))
        ends = await self._consumer.end_offsets(mine)
        return {one.partition: found[one].offset if found.get(one) else ends[one] - 1 for one in mine}

    async def _partitions(self) -> list[int]:
        """Asks until the cluster knows the topic: a reader may start before whoever creates it."""
        while True:
            await self._consumer._client.force_metadata_update()
            found = self._consumer._client.cluster.partitions_for_topic(self._topic)
            if not found:
                self._consumer._client.add_topic(self._topic)
                await asyncio.sleep(RETRY_S / 4)
                continue
            return sorted(found)

    async def ends(self) -> dict[int, int]:
        offsets = await self._consumer.end_offsets(self._consumer.assignment())
        return {partition.partition: offset for partition, offset in offsets.items()}

    async def places(self) -> dict[int, int]:
        """The offset that each partition is read from next."""
        return {one.partition: await self._consumer.position(one) for one in self._consumer.assignment()}

    async def poll(self, timeout_s: float) -> Poll:
        found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=MAX_POLL_RECORDS)
        return {partition.partition: records for partition, records in found.items() if records}

    def hold(self, partitions: Iterable[int]) -> None:
        """From now on do not read ``partitions``; read all others."""
        held = {TopicPartition(self._topic, number) for number in partitions}
        paused = self._consumer.paused()
        if held != paused:
            self._consumer.pause(*(held - paused))
            self._consumer.resume(*(paused - held))

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


async def began_again(topic: Topic, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Do ``work``, which reads ``topic`` until ``stop``; after an error of the broker, from its beginning."""
    while not stop.is_set():
        try:
            await work()
        except (KafkaError, OSError) as error:
            log.warning("reader starts again", topic=topic.name, error=repr(error))
            await asyncio.sleep(RETRY_S)


class GroupReader:
    """One topic shared by a role's workers; `run` until ``stop`` is set. ``gather_s``: so long a poll's records are let
    gather. A busy topic read record by record costs a fetch and a commit for each, which whoever shares the broker pays."""

    def __init__(self, settings: Settings, topic: Topic, group: str, handler: Handler, gather_s: float = 0.0) -> None:
        self._source = topic
        self._topic = settings.topic_prefix + topic.name
        self._group = f"{settings.topic_prefix}{group}-{topic.name}"
        self._arguments = client_arguments(settings)
        self._handler = handler
        self._gather_s = gather_s

    async def run(self, stop: asyncio.Event) -> None:
        """Handle polls; after an error of the broker or the handler, begin again at the last commit."""
        await began_again(self._source, lambda: self._consume(stop), stop)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,
            **self._arguments,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            max_poll_records=MAX_POLL_RECORDS,
        )
        await consumer.start()
        try:
            while not stop.is_set():
                found = await consumer.getmany(timeout_ms=200, max_records=MAX_POLL_RECORDS)
                for records in found.values():
                    await self._handler(records)
                if found:
                    try:
                        await consumer.commit()
                    except CommitFailedError:
                        log.info("a rebalance came first: the new owner reads these again", topic=self._source.name)
                    await asyncio.sleep(self._gather_s)
        finally:
            await consumer.stop()
