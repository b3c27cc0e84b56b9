"""Single requests to a broker, where a whole client would hide what the broker answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

MEMBER_ID_REQUIRED = 79
COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOADING = 15, 16, 14


def batch(
    values: list[bytes], producer: tuple[int, int] = (-1, -1), sequence: int = -1, keys: list[bytes] | None = None
) -> bytes:
    """One record batch as a client sends it; ``producer`` is (id, epoch)."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
        batch_size=1 << 20,
    )
    for number, value in enumerate(values):
        key = None if keys is None else keys[number]
        builder.append(number, 1_700_000_000_000 + number, key, value, headers=[])
    return bytes(builder.build())


class RawClient:
    """Requests and their answers, one at a time."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def ask(self, request: Any) -> Any:
        node = self._client.get_random_node()
        return await self._client.send(node, request)

    async def metadata_error(self, topic: str) -> int:
        answer = await self.ask(MetadataRequest([topic], allow_auto_topic_creation=False))
        return answer.topics[0][0]

    async def producer_id(self) -> tuple[int, int]:
        answer = await self.ask(InitProducerIdRequest(None, 60_000))
        assert answer.error_code == 0
        return answer.producer_id, answer.producer_epoch

    async def produce(self, topic: str, partition: int, data: bytes) -> tuple[int, int]:
        """(error code, offset)."""
        answer = await self.ask(ProduceRequest(None, -1, 5_000, [(topic, [(partition, data)])]))
        row = answer.topics[0][1][0]
        return row[1], row[2]

    async def fetch(self, topic: str, partition: int, offset: int, max_wait_ms: int) -> tuple[int, bytes]:
        """(error code, record batches)."""
        answer = await self.ask(FetchRequest(max_wait_ms, 1, 1 << 20, 0, [(topic, [(partition, offset, 1 << 20)])]))
        row = answer.topics[0][1][0]
        return row[1], row[-1]

    async def coordinator_ready(self, group: str) -> None:
        """A new Apache Kafka makes its offsets topic only when the first group asks."""
        while True:
            found = await self.ask(FindCoordinatorRequest(group, 0))
            if found.error_code == 0:
                probe = await self.ask(OffsetCommitRequest(f"{group}-probe", -1, "", -1, []))
                assert probe.topics == []
                return

    async def join(self, group: str, session_ms: int, protocol: str = "range") -> tuple[str, int]:
        """Join as the only member and assign oneself nothing; answers (member id, generation)."""
        member = ""
        while True:
            request = JoinGroupRequest(group, session_ms, 5_000, member, None, "consumer", [(protocol, b"\x00\x00")])
            joined = await self.ask(request)
            if joined.error_code == 0:
                break
            assert joined.error_code in (
                MEMBER_ID_REQUIRED,
                COORDINATOR_NOT_AVAILABLE,
                NOT_COORDINATOR,
                COORDINATOR_LOADING,
            )
            member = joined.member_id
        sync = SyncGroupRequest(group, joined.generation_id, joined.member_id, None, [(joined.member_id, b"")])
        assert (await self.ask(sync)).error_code == 0
        return joined.member_id, joined.generation_id

    async def leave(self, group: str, member: str) -> int:
        return (await self.ask(LeaveGroupRequest(group, member))).error_code

    async def commit(self, group: str, member: str, generation: int, topic: str, offset: int) -> int:
        """The error code for partition 0."""
        answer = await self.ask(OffsetCommitRequest(group, generation, member, -1, [(topic, [(0, offset, "")])]))
        return answer.topics[0][1][0][1]


@asynccontextmanager
async def raw_client(bootstrap: str) -> AsyncIterator[RawClient]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        yield RawClient(client)
    finally:
        await client.close()
