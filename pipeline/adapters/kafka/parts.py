"""Reading some partitions of several quiet topics, those that the caller owns at the time: one connection and one waiting
request per broker, whatever their number. No group takes part; positions are the caller's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.adapters.kafka.connection import client_arguments
from pipeline.core.topics import Topic
from pipeline.ports import MAX_POLL_RECORDS, Record
from pipeline.settings import Settings

FETCH_WAIT_MS = 500
"""How long a request waits for the first record; a partition added meanwhile is in the next one."""

log = structlog.get_logger()


class KafkaPartsReader:
    """The PartsReader port on a Kafka cluster."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.topic_prefix
        self._arguments = client_arguments(settings)
        self._consumer: Any = None
        self._wanted: dict[tuple[Topic, int], int | None] = {}
        self._next: dict[tuple[Topic, int], int] = {}
        self._first: dict[tuple[Topic, int], int] = {}
        self._moved = False

    async def start(self) -> None:
        """Nothing yet: there is a consumer while there is something to read."""

    def read(self, places: Mapping[tuple[Topic, int], int | None]) -> None:
        same = places.keys() == self._next.keys() and all(
            self._next[place] == (self._first[place] if at is None else at) for place, at in places.items()
        )
        if not same:
            self._wanted, self._moved = dict(places), True

    async def poll(self, timeout_s: float) -> dict[tuple[Topic, int], Sequence[Record]]:
        if self._moved:
            await self._seek()
        if self._consumer is None:
            await asyncio.sleep(timeout_s)
            return {}
        places = {self._partition(place): place for place in self._next}
        found = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=MAX_POLL_RECORDS)
        read: dict[tuple[Topic, int], Sequence[Record]] = {}
        for partition, records in found.items():
            if records and (place := places.get(partition)) is not None:
                read[place] = records
                self._next[place] = records[-1].offset + 1
        return read

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    def _partition(self, place: tuple[Topic, int]) -> TopicPartition:
        return TopicPartition(self._prefix + place[0].name, place[1])

    async def _open(self, partitions: Sequence[TopicPartition]) -> None:
        """A consumer of these alone: one that is given others while it fetches was seen to answer no more."""
        self._consumer = AIOKafkaConsumer(
            **self._arguments,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_poll_records=MAX_POLL_RECORDS,
        )
        await self._consumer.start()
        self._consumer.assign(partitions)

    async def _seek(self) -> None:
        partitions = {place: self._partition(place) for place in self._wanted}
        if self._wanted.keys() != self._next.keys():
            self._next = {}
            await self.stop()
            if not partitions:
                self._moved = False
                return
            await self._open(list(partitions.values()))
        first = await self._consumer.beginning_offsets(list(partitions.values()))
        end = await self._consumer.end_offsets(list(partitions.values()))
        self._next = {}
        for place, partition in partitions.items():
            known, at = self._wanted[place], first[partition]
            if known is not None and first[partition] <= known <= end[partition]:
                at = known
            elif known is not None:
                log.error(
                    "records about cards are missing: retention took them, or this is another cluster; what is there is "
                    "read from its beginning, and what was read before counts once",
                    topic=partition.topic, partition=partition.partition, stored=known, log=[at, end[partition]],
                )  # fmt: skip
            self._consumer.seek(partition, at)
            self._next[place] = at
            self._first[place] = first[partition]
        self._moved = False
