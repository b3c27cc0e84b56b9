"""The floor for a program on aiokafka: records in, the same records out, whole batches to the same partition."""

import asyncio
import os
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

MAX_RECORDS = 2_000
FETCH_WAIT_MS = 50

BROKER = os.environ["BENCH_KAFKA"]
SOURCE, TARGET = os.environ["BENCH_SOURCE"], os.environ["BENCH_TARGET"]


async def relay() -> None:
    consumer = AIOKafkaConsumer(
        SOURCE,
        bootstrap_servers=BROKER,
        group_id=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    producer = AIOKafkaProducer(bootstrap_servers=BROKER, acks="all", linger_ms=0)
    await consumer.start()
    await producer.start()
    while True:
        polled = await consumer.getmany(timeout_ms=1000, max_records=MAX_RECORDS)
        for source, records in polled.items():
            await send(producer, source.partition, records)


async def send(producer: Any, partition: int, records: Any) -> None:
    """Append ``records`` to ``partition`` and wait for every acknowledgement."""
    batch = producer.create_batch()
    waiting = []
    for record in records:
        if batch.append(key=record.key, value=record.value, timestamp=None) is None:
            waiting.append(await producer.send_batch(batch, TARGET, partition=partition))
            batch = producer.create_batch()
            batch.append(key=record.key, value=record.value, timestamp=None)
    if batch.record_count():
        waiting.append(await producer.send_batch(batch, TARGET, partition=partition))
    for acknowledged in waiting:
        await acknowledged


if __name__ == "__main__":
    asyncio.run(relay())
