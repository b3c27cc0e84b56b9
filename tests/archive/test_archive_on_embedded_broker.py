"""The role as it is wired, on a broker: it reads all four topics, is ready, and its rows are those that were decided."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_world import CONFIG, Place, Traffic, without_day

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.app.archive import run_archive
from pipeline.core.topics import DECISIONS, LABELS, SCORED, TRANSACTIONS, Outgoing
from pipeline.embedded.broker import start_broker
from pipeline.embedded.process import free_port
from pipeline.settings import Settings

BOUND_S = 20.0


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("archive-broker"), partition_mb=4)
    yield broker.bootstrap
    broker.stop()


async def put_on(settings: Settings, traffic: Traffic) -> None:
    await create_topics(settings, traffic.partitions)
    log = KafkaLog(settings)
    await log.start()
    for topic in (TRANSACTIONS, SCORED, DECISIONS, LABELS):
        for number in range(traffic.partitions):
            records = traffic.log.part(topic, number)
            if records:
                await log.append(topic, {number: [Outgoing(one.key, one.value or b"", one.headers) for one in records]})
    await log.stop()


def paid_now() -> Traffic:
    traffic = Traffic()
    traffic.log.timestamp_ms = int(time.time() * 1000)
    for number in range(9):
        traffic.pay(number % 2, number)
    traffic.pay(0, type="reversal", original_id="t1")
    for partition in (0, 1):
        traffic.score(partition)
    label = {
        "transaction": "t1",
        "card": "tok_a_00000001",
        "fraud": True,
        "source": "analyst",
        "time": "2026-09-22T12:00:00Z",
    }
    traffic.put(LABELS, 1, json.dumps(label).encode())
    return traffic


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_the_role_archives_what_is_on_the_broker(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in {
        "KAFKA_BOOTSTRAP": bootstrap, "TOPIC_PREFIX": "role.", "CONFIG_DIR": str(CONFIG), "METRICS_PORT": str(port),
        "ARCHIVE_DIR": str(tmp_path), "ARCHIVE_FILE_SECONDS": "0.1",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CARDWATCH_{name}", value)
    traffic = paid_now()
    place = Place(traffic, tmp_path)

    async def archived() -> None:
        await put_on(Settings(), traffic)
        stop = asyncio.Event()
        running = asyncio.create_task(run_archive(stop))
        async with asyncio.timeout(BOUND_S):
            while not running.done() and len(place.rows()) + len(place.files("labels")) < 11:
                await asyncio.sleep(0.05)
            assert await asyncio.to_thread(answers, port)
            stop.set()
            await running

    asyncio.run(archived())
    assert without_day(place.rows()) == traffic.expected()
    assert place.archive.labels_in_force(2**50)["fraud"].tolist() == [1.0]
    place.shelf.open()  # nobody holds it any more
    place.shelf.close()


def test_a_partition_that_is_held_is_not_read_until_it_is_let_go(bootstrap: str) -> None:
    settings = Settings(kafka_bootstrap=bootstrap, topic_prefix="held.")
    traffic = paid_now()

    async def read() -> tuple[set[int], set[int]]:
        await put_on(settings, traffic)
        reader = KafkaReader(settings, TRANSACTIONS)
        await reader.start()
        reader.hold([0])
        held = await numbers(reader, 4)
        reader.hold([])
        freed = await numbers(reader, 6)
        await reader.stop()
        return held, freed

    async def numbers(reader: KafkaReader, count: int) -> set[int]:
        """The partitions of the next ``count`` records."""
        found: list[int] = []
        async with asyncio.timeout(BOUND_S):
            while len(found) < count:
                found += [record.partition for records in (await reader.poll(0.1)).values() for record in records]
        return set(found)

    assert asyncio.run(read()) == ({1}, {0})
