"""One topic read by a group, whose handler says how far it got: the committed offset is that far and no further.

For what is handed on to somebody who may not take it now. Polls are small, so little waits in memory however long the
other side is away; what it did not take is fetched again after a pause, which grows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from pipeline.adapters.kafka.connection import client_arguments
from pipeline.adapters.kafka.readers import FETCH_WAIT_MS, RETRY_S
from pipeline.core.topics import Topic
from pipeline.ports import Record
from pipeline.settings import Settings

SHORTEST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
LONGEST_HANDLING_MS = 900_000
"""A member that has not asked for records for so long is taken for dead by its own client."""
MAX_FETCH_BYTES = 1_048_576
"""Of one answer of the broker; a step of a contact has some 300."""
Handler = Callable[[Sequence[Record]], Awaitable[int]]
log = structlog.get_logger()


class ResumingReader:
    """``handler`` gets consecutive records of one partition, at most ``max_records``, and answers how many of them, from
    the first, are done with. ``kept`` hears which partitions are ours. ``from_now``: a group that begins anew does not
    read what came before it. ``pause_s``: the first pause after records were left over."""

    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        group: str,
        handler: Handler,
        max_records: int,
        kept: Callable[[Sequence[int]], None] = lambda partitions: None,
        from_now: bool = False,
        pause_s: float = SHORTEST_PAUSE_S,
    ) -> None:
        self._name = topic.name
        self._topic = settings.topic_prefix + topic.name
        self._group = f"{settings.topic_prefix}{group}-{topic.name}"
        self._arguments = client_arguments(settings)
        self._handler = handler
        self._max_records = max_records
        self._kept = kept
        self._reset = "latest" if from_now else "earliest"
        self._first_pause_s = pause_s
        self._pause_s = pause_s

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; after an error of the broker, begin again at the last commit."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except (KafkaError, OSError) as error:
                log.warning("reader starts again", topic=self._name, group=self._group, error=repr(error))
                await _pause(stop, RETRY_S)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,
            **self._arguments,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset=self._reset,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=MAX_FETCH_BYTES,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=LONGEST_HANDLING_MS,
            max_poll_records=self._max_records,
        )
        await consumer.start()
        try:
            while not stop.is_set():
                self._kept([partition.partition for partition in consumer.assignment()])
                found = await consumer.getmany(timeout_ms=200, max_records=self._max_records)
                if found and await self._handle(consumer, found):
                    await _pause(stop, self._pause_s)
                    self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        finally:
            await consumer.stop()

    async def _handle(self, consumer: AIOKafkaConsumer, found: dict[TopicPartition, Sequence[Record]]) -> bool:
        """Whether records were left over."""
        left_over = False
        offsets: dict[TopicPartition, int] = {}
        for partition, records in found.items():
            done = await self._handler(records)
            if done:
                offsets[partition] = records[done - 1].offset + 1
            if done < len(records):
                left_over = True
                if partition in consumer.assignment():
                    consumer.seek(partition, records[done].offset)
        if offsets:
            self._pause_s = self._first_pause_s
            try:
                await consumer.commit({p: o for p, o in offsets.items() if p in consumer.assignment()})
            except CommitFailedError:
                log.info("a rebalance came first: the new owner reads these again", topic=self._name)
        return left_over


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """``seconds``, or until ``stop``."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
