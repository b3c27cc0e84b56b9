"""The role as `cardwatch run reminder` runs it, on the embedded broker and store: a bill, a reminder, a payment, no reminder."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from reminder_world import ALMANAC, CONFIG, PLAN, Read, event, rfc, statement, tagged

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.redis.accounts import RedisAccountStore
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.app.reminder import PlanFile, run_reminder
from pipeline.core.topics import ACCOUNTS, CONTACT_REQUESTS, CUSTOMER_STATE, DEAD_LETTERS, Outgoing, Topic
from pipeline.embedded.broker import start_broker
from pipeline.embedded.process import free_port
from pipeline.embedded.store import EmbeddedStore
from pipeline.roles.reminder.settings import ReminderSettings
from pipeline.settings import Settings

PARTITIONS = 2
BOUND_S = 30.0
ALL_DAY = """
[spread]
start = "00:00"
end = "24:00"
"""
AT_ANY_HOUR = PLAN.replace('name = "due"\n', 'name = "due"\nat = "00:00"\n').replace("'vip'", "'frequent'") + ALL_DAY


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("broker"), partition_mb=4)
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
def settings(bootstrap: str, valkey: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    config = tmp_path / "config"
    (config / "policies").mkdir(parents=True)
    (config / "policies" / "reminders.toml").write_text(AT_ANY_HOUR)
    for name in ("tags.toml", "rates.toml"):
        (config / name).write_text((CONFIG / name).read_text())
    for name, value in {
        "KAFKA_BOOTSTRAP": bootstrap,
        "REDIS_URL": valkey.url,
        "TOPIC_PREFIX": "embedded.",
        "CONFIG_DIR": str(config),
        "METRICS_PORT": str(free_port()),
    }.items():
        monkeypatch.setenv(f"CARDWATCH_{name}", value)
    return Settings()


def bill(number: int) -> Read:
    """Due today, by the bank's clock."""
    today = datetime.now(UTC) + timedelta(hours=8)
    return statement(
        account=f"ac{number}",
        customer=f"cu{number}",
        id=f"st{number}",
        statement_date=(today - timedelta(days=20)).date().isoformat(),
        due_date=today.date().isoformat(),
    )


def paid(number: int) -> Read:
    now = rfc(round(time.time() * 1000))
    return event("repayment", account=f"ac{number}", id=f"pay{number}", time=now, amount=100_000)


async def put(log: KafkaLog, topic: Topic, *records: Read) -> None:
    await log.send(topic, [Outgoing(record.key, record.value or b"") for record in records])


async def heard(
    reader: KafkaReader, found: list[dict[str, Any]], enough: Callable[[list[str]], bool], running: asyncio.Task[None]
) -> list[str]:
    """What is on the topic, as a script, once there is enough of it."""
    async with asyncio.timeout(BOUND_S):
        while True:
            words = [f"-{one['id']}:{one['withdrawn']}" if one.get("withdrawn") else one["id"] for one in found]
            if running.done():
                running.result()
            if enough(words):
                return sorted(words)
            for records in (await reader.poll(0.1)).values():
                found.extend(msgspec.json.decode(record.value or b"") for record in records)


async def story(settings: Settings, valkey_url: str) -> None:
    await create_topics(settings, PARTITIONS)
    log = KafkaLog(settings)
    await log.start()
    reader, letters = KafkaReader(settings, CONTACT_REQUESTS), KafkaReader(settings, DEAD_LETTERS)
    await reader.start()
    await letters.start()
    await put(log, CUSTOMER_STATE, tagged("cu3", "frequent"), tagged("cu4"))
    stop = asyncio.Event()
    running = asyncio.create_task(run_reminder(stop))
    try:
        await put(log, ACCOUNTS, *(bill(number) for number in range(5)), event("statement", account="ac9"))
        found: list[dict[str, Any]] = []
        told = await heard(reader, found, lambda words: len(words) >= 4, running)
        assert told == ["st0/due", "st1/due", "st2/due", "st4/due"], "a customer whom a tag spares is not reminded"
        await put(log, ACCOUNTS, paid(1))
        told = await heard(reader, found, lambda words: len(words) >= 5, running)
        assert told[0] == "-st1/due:paid"
        (letter,) = [
            msgspec.json.decode(record.value or b"")
            for records in (await letters.poll(5.0)).values()
            for record in records
        ]
        assert (letter["topic"], letter["reason"], letter["field"]) == ("accounts", "not_an_account_event", "id")
        async with connect(valkey_url) as redis:
            store = RedisAccountStore(redis, settings.topic_prefix)
            contacts = RedisContactStore(redis, settings.topic_prefix)
            async with asyncio.timeout(BOUND_S):
                while not all([await contacts.note(f"f:{number}") for number in range(PARTITIONS)]):
                    await asyncio.sleep(0.05)
            positions = [await store.position(number) or 0 for number in range(PARTITIONS)]
            assert sum(positions) == 7
        assert not running.done()
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(running, BOUND_S)
        for each in (reader, letters):
            await each.stop()
        await log.stop()


def test_the_role_on_broker_and_store(settings: Settings, valkey: EmbeddedStore) -> None:
    asyncio.run(story(settings, valkey.url))


def test_a_changed_plan_is_read_and_a_wrong_one_leaves_the_one_before(settings: Settings) -> None:
    file = PlanFile(ReminderSettings(), ALMANAC)
    first = file.now()
    assert file.now() is first
    path = settings.config_dir / "policies" / "reminders.toml"
    path.write_text(AT_ANY_HOUR + "nonsense")
    assert file.now() is first
    path.write_text(AT_ANY_HOUR.replace("until_day = 20", "until_day = 21"))
    assert file.now().version != first.version
