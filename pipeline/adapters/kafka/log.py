"""Appending records: whole batches to a partition, every acknowledgement awaited.

aiokafka's own batching sends 16 kB at a time, a hundred serial round trips for a full poll; here a partition's records
become a few batches of up to 900 kB, all partitions are sent together, and the call returns when the last one is
acknowledged. The producer is idempotent and one call at a time may append to a partition, so a partition's log keeps
the order in which the caller gave the records.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.partitioner import murmur2

from pipeline.adapters.kafka.connection import client_arguments, refusal, unanswered
from pipeline.adapters.kafka.records import batches as records_in_batches
from pipeline.core.topics import MAX_RECORD_BYTES, Topic
from pipeline.ports import BrokerDown, Outgoing
from pipeline.settings import Settings

START_S = 30.0
START_PAUSE_S = 1.0
REQUEST_TIMEOUT_MS = 40_000
"""How long one append may take, retries included, before it has failed for good."""

log = structlog.get_logger()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Kafka's own clients choose for ``key``: murmur2, made positive, modulo."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class KafkaLog:
    """The Log port on a Kafka cluster."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = settings.topic_prefix
        self._arguments = client_arguments(settings)
        self._producer: Any = None
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Connect; waits for a broker that is only just starting. Raises BrokerDown after `START_S`, or at once when we
        are turned away."""
        if self._producer is not None:
            return
        deadline = asyncio.get_running_loop().time() + START_S
        while True:
            producer = AIOKafkaProducer(
                **self._arguments,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=MAX_RECORD_BYTES,
                max_request_size=MAX_RECORD_BYTES + 100_000,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except KafkaConnectionError:
                await producer.stop()
                why = await refusal(self._settings)
                if why is not None or asyncio.get_running_loop().time() > deadline:
                    raise BrokerDown(why or unanswered(self._settings)) from None
                log.warning("waiting for Kafka", servers=self._arguments["bootstrap_servers"])
                await asyncio.sleep(START_PAUSE_S)
            else:
                self._producer = producer
                return

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def offer(self, topic: Topic, record: Outgoing) -> None:
        """Send one record without waiting for its acknowledgement: for open-loop senders, which must keep to their
        clock. A record that failed for good is raised by the next `flush`."""
        sent = await self._producer.send(
            self._prefix + topic.name, record.value, key=record.key, headers=list(record.headers)
        )
        sent.add_done_callback(self._offered)

    def _offered(self, sent: asyncio.Future[Any]) -> None:
        if not sent.cancelled() and (error := sent.exception()) is not None:
            self._failure = error

    async def flush(self) -> None:
        """Wait until all that was offered is acknowledged. Raises what went wrong, if anything did."""
        await self._producer.flush()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def partitions(self, topic: Topic) -> int:
        """How many partitions the topic has."""
        return len(await self._producer.partitions_for(self._prefix + topic.name))

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        await self.append_together({topic: batches})

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        now_ms = int(time.time() * 1000)
        acknowledgements = [
            await self._producer.send_batch(batch, self._prefix + topic.name, partition=partition)
            for topic, parts in batches.items()
            for partition, records in parts.items()
            for batch in records_in_batches(records, MAX_RECORD_BYTES, now_ms, self._producer)
        ]
        if acknowledgements:
            await asyncio.gather(*acknowledgements)

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        count = await self.partitions(topic)
        batches: dict[int, list[Outgoing]] = {}
        for record in records:
            batches.setdefault(partition_of(record.key or b"", count), []).append(record)
        await self.append(topic, batches)
