"""What Cardwatch's own transport costs: Faust with one event a poll, every record decoded, a decision and a share of a
`scored` record of full size written for each, acknowledgements awaited — and no profile, model or rule."""

import asyncio
import os
from collections.abc import Iterable, Sequence

import msgspec
import uvloop

from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.worker import Worker
from pipeline.core.decision import APPROVE, HEADER_OUTCOME, HEADER_SOURCE_OFFSET, HEADER_SOURCE_TIMESTAMP, Decision
from pipeline.core.features import CATALOGUE
from pipeline.core.topics import MAX_RECORD_BYTES, Outgoing, Topic
from pipeline.ports import Membership, Poll, Record
from pipeline.settings import Settings

SCORED_BYTES = 8 * (len(CATALOGUE) + 8) + 40
"""What a transaction takes in a `scored` record: its features, five more columns, id and card."""
SCORED_ROWS = (MAX_RECORD_BYTES - 4_096) // SCORED_BYTES
"""Rows of such a record at most."""
MOMENT = "2026-01-01T00:00:00.000Z"

SOURCE = Topic(os.environ["BENCH_SOURCE"], "card")
TARGET = Topic(os.environ["BENCH_TARGET"], "card")
SCORED = Topic(os.environ["BENCH_SCORED"], "partition")


class Transaction(msgspec.Struct):
    """The fields every transaction of the stream has."""

    id: str
    card: str
    time: str
    amount: int
    currency: str
    merchant: str
    terminal: str
    mcc: str
    country: str
    entry_mode: str


_decode = msgspec.json.Decoder(Transaction).decode
_encode = msgspec.json.Encoder().encode


class Relay:
    """A PolledRole without memory: every partition is read from its beginning."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log

    def keep(self, partitions: Iterable[int], member: str, generation: int) -> dict[int, int]:
        return {}

    async def load(self, partition: int, membership: Membership, member: str, generation: int) -> int | None:
        return None

    def waits(self) -> bool:
        return False

    async def boundary(self) -> Sequence[int]:
        return ()

    async def revoked(self, clean: bool) -> None:
        return None

    async def polled(self, poll: Poll) -> None:
        scored = {number: shares(len(records)) for number, records in poll.items()}
        decisions = {number: [decide(record) for record in records] for number, records in poll.items()}
        await self._log.append_together({SCORED: scored, TARGET: decisions})


def shares(rows: int) -> list[Outgoing]:
    """As many bytes as `scored` records of so many rows have, in as many records."""
    firsts = range(0, rows, SCORED_ROWS)
    return [Outgoing(None, bytes(SCORED_BYTES * min(SCORED_ROWS, rows - first))) for first in firsts]


def decide(record: Record) -> Outgoing:
    """An approval as large as the scorer's own."""
    transaction = _decode(record.value or b"")
    decision = Decision(
        id=transaction.id,
        card=transaction.card,
        time=transaction.time,
        outcome="approve",
        actions=APPROVE,
        score=0.001,
        percentile=50.0,
        policy_version="empty-000000000000",
        model_version="surprise-000000000000-uncalibrated",
        decided_at=MOMENT,
    )
    headers = (
        (HEADER_SOURCE_OFFSET, b"%d" % record.offset),
        (HEADER_SOURCE_TIMESTAMP, b"%d" % record.timestamp),
        (HEADER_OUTCOME, b"approve"),
    )
    return Outgoing(transaction.card.encode(), _encode(decision), headers)


async def run() -> None:
    settings = Settings(kafka_bootstrap=os.environ["BENCH_KAFKA"], topic_prefix="")
    log = KafkaLog(settings)
    await log.start()
    await Worker(settings, SOURCE, os.environ["BENCH_GROUP"], Relay(log)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run())
