"""Reading some partitions of several quiet topics, those that the caller owns at the time: one connection and one waiting
request per broker, whatever their number. No group takes part; positions are the caller's.

The requests are our own, as in `fetching`. (aiokafka's consumer with nothing assigned yet waits in `getmany` for partitions
without end, whatever the timeout: a worker whose first partition came a moment after its reader read nothing for good.) So
an answer is used only for the place that asked for it. Between two polls nothing goes
on but the requests under way, and each has its time: what fails, or is not answered, is raised by the next poll, and the
caller begins anew with another reader.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy

from pipeline.adapters.kafka.connection import client_arguments
from pipeline.adapters.kafka.records import Fetched, unpack
from pipeline.core.topics import Topic
from pipeline.ports import Record
from pipeline.settings import Settings

FETCH_WAIT_MS = 500
"""How long a request waits for the first record; a partition added meanwhile is in the next one."""
ANSWER_S = 5.0
"""How long the broker may take for an answer, the wait for a record included."""
PARTITION_BYTES = 1 << 18
REQUEST_BYTES = 4 << 20
_ISOLATION = 0
_CONSUMER = -1

log = structlog.get_logger()


class _Place:
    """Where a partition is read. ``at``: where the caller is, None when it has had no record yet; ``next``: what is asked
    for, further on than ``at`` where the log has gaps, and its first record where it does not reach back so far."""

    def __init__(self, partition: TopicPartition, at: int | None) -> None:
        self.partition = partition
        self.at = at
        self.next = at or 0


class _Answer(NamedTuple):
    asked: Mapping[TopicPartition, _Place]
    response: Any


class KafkaPartsReader:
    """The PartsReader port on a Kafka cluster. `poll` raises KafkaError and TimeoutError; then it is of no more use."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.topic_prefix
        self._arguments = client_arguments(settings)
        self._client: Any = None
        self._topics: set[str] = set()
        self._places: dict[tuple[Topic, int], _Place] = {}
        self._requests: dict[int, asyncio.Task[_Answer]] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaConnectionError when no broker answers."""
        self._client = AIOKafkaClient(**self._arguments)
        await self._client.bootstrap()

    def read(self, places: Mapping[tuple[Topic, int], int | None]) -> None:
        known = self._places
        self._places = {
            (topic, number): known[topic, number]
            if (topic, number) in known and known[topic, number].at == at
            else _Place(TopicPartition(self._prefix + topic.name, number), at)
            for (topic, number), at in places.items()
        }

    async def poll(self, timeout_s: float) -> dict[tuple[Topic, int], Sequence[Record]]:
        await self._request()
        if not self._requests:
            await asyncio.sleep(timeout_s)
            return {}
        done, _ = await asyncio.wait(self._requests.values(), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        records: dict[_Place, list[Fetched]] = {}
        for node, request in list(self._requests.items()):
            if request in done:
                del self._requests[node]
                await self._take(request.result(), records)
        found: dict[tuple[Topic, int], Sequence[Record]] = {}
        for place, where in self._places.items():
            if new := records.get(where):
                found[place] = new
                where.at = new[-1].offset + 1
        return found

    async def stop(self) -> None:
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.cancel()
        await asyncio.gather(*requests.values(), return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # --- asking

    async def _request(self) -> None:
        """Have one request under way to each broker that leads a partition of ours."""
        topics = {place.partition.topic for place in self._places.values()}
        if not topics <= self._topics:
            self._topics |= topics
            await self._client.set_topics(self._topics)
        wanted: dict[int, list[_Place]] = {}
        for place in self._places.values():
            wanted.setdefault(self._leader(place.partition), []).append(place)
        for node, places in wanted.items():
            if node not in self._requests:
                self._requests[node] = asyncio.create_task(self._fetch(node, places))

    def _leader(self, partition: TopicPartition) -> int:
        leader = self._client.cluster.leader_for_partition(partition)
        if leader is None or leader < 0:
            raise kafka_errors.LeaderNotAvailableError(f"{partition.topic}, partition {partition.partition}")
        return int(leader)

    async def _fetch(self, node: int, places: Sequence[_Place]) -> _Answer:
        asked = {place.partition: place for place in places}
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, number), place in asked.items():
            topics.setdefault(topic, []).append((number, place.next, PARTITION_BYTES))
        request = FetchRequest(FETCH_WAIT_MS, 1, REQUEST_BYTES, _ISOLATION, list(topics.items()))
        async with asyncio.timeout(ANSWER_S):
            return _Answer(asked, await self._client.send(node, request))

    # --- what was answered

    async def _take(self, answer: _Answer, found: dict[_Place, list[Fetched]]) -> None:
        """Add to ``found`` what was answered to the places that are still read."""
        wanted = set(self._places.values())
        for topic, partitions in answer.response.topics:
            for number, code, _, *_, data in partitions:
                place = answer.asked[TopicPartition(topic, number)]
                if place not in wanted:
                    continue  # nor is it of interest any more why it can't be read
                error = kafka_errors.for_code(code)
                if issubclass(error, kafka_errors.OffsetOutOfRangeError):
                    await self._begin_again(place)
                elif code:
                    raise error(f"{topic}, partition {number}")
                elif data:
                    for records, following in unpack(data, number, place.next):
                        found.setdefault(place, []).extend(records)
                        place.next = following

    async def _begin_again(self, place: _Place) -> None:
        topic, number = place.partition
        asked = OffsetRequest(_CONSUMER, _ISOLATION, [(topic, [(number, OffsetResetStrategy.EARLIEST)])])
        async with asyncio.timeout(ANSWER_S):
            answer = await self._client.send(self._leader(place.partition), asked)
        ((_, ((_, code, *_, first),)),) = answer.topics
        if code:
            raise kafka_errors.for_code(code)(f"{topic}, partition {number}")
        if place.at is not None:
            log.error(
                "records about cards are missing: retention took them, or this is another cluster; what is there is read "
                "from its beginning, and what was read before counts once",
                topic=topic, partition=number, stored=place.at, first=first,
            )  # fmt: skip
        place.next = first
