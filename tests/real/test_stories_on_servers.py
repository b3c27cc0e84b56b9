"""The table of stories about a verification conversation, played in simulated time on a real Redis, its records read back
from a real Kafka by a client that is not ours."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "contact"))  # the stories and their world

from cascade_world import Cascade, cascade_config
from contact_world import CONFIG, MemoryLog
from outside import Outside
from servers import RedisServer
from test_cascade_stories import LABELS, NOTHING, STORIES, Row

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing
from pipeline.ports_contact import Committed, Kept
from pipeline.roles.contact.profile import read_texts
from pipeline.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

PREFIX = "stories-"
TOLD = ("contacts", "card-commands", "labels", "answers")


class ServedLog(MemoryLog):
    """Remembers what it sends to Kafka, and sends it with the number of the story in a header."""

    def __init__(self, kafka: KafkaLog, number: int) -> None:
        super().__init__()
        self._kafka = kafka
        self._story = ("story", b"%d" % number)

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        records = list(records)
        await self._kafka.send(topic, [each._replace(headers=(*each.headers, self._story)) for each in records])
        await super().send(topic, records)


class ServedStore(RedisContactStore):
    """``kept``: every conversation as Redis has it after the last commit."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.kept: dict[str, Kept] = {}

    async def commit(self, changes: Any, *args: Any, **more: Any) -> Committed:
        committed = await super().commit(changes, *args, **more)
        for change in changes:
            kept = await self.conversation(change.contact)
            if kept is not None:
                self.kept[change.contact] = kept
        return committed


async def played(settings: Settings, redis_url: str, directory: Path) -> list[Cascade]:
    """Every story on these servers."""
    await create_topics(settings, partitions=1)  # one order over all keys
    kafka = KafkaLog(settings)
    await kafka.start()
    cascades = []
    try:
        async with connect(redis_url) as client:
            for number, row in enumerate(STORIES):
                cascade = Cascade(cascade_config(directory / str(number)))
                cascade.world.store = ServedStore(client, f"{PREFIX}{number}-")
                cascade.world.log = ServedLog(kafka, number)
                cascade.role = cascade.world.worker()
                await cascade.play(row.script)
                cascades.append(cascade)
    finally:
        await kafka.stop()
    return cascades


def in_kafka(outside: Outside) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """Story → topic → its records, each once by its id."""
    found: dict[int, dict[str, dict[bytes, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for topic in TOLD:
        for record in outside.read(topic):
            story = found[int(record.headers["story"])]
            story[topic].setdefault(record.headers["record_id"], record.json())
    return {number: {name: list(each.values()) for name, each in story.items()} for number, story in found.items()}


def told(row: Row, cascade: Cascade, records: dict[str, list[dict[str, Any]]]) -> Row:
    """The row as Redis and Kafka tell it."""
    steps = [step["step"] for step in records.get("contacts", []) if step["contact"] == cascade.contact]
    labels = [LABELS[label["fraud"]] for label in records.get("labels", [])]
    return row._replace(
        states=f"{cascade.state_before} → {cascade.state}",
        asked=", ".join(cascade.attempts()) or NOTHING,
        commands=", ".join(command["command"] for command in records.get("card-commands", [])) or NOTHING,
        steps=", ".join(steps[cascade.steps_before :]) or NOTHING,
        labels=", ".join(labels) or NOTHING,
    )


def test_every_story_is_the_same_on_kafka_and_redis(
    tmp_path: Path, bootstrap: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = read_texts(CONFIG)  # once, not for each story
    monkeypatch.setattr("pipeline.roles.contact.role.read_texts", lambda _: texts)
    settings = Settings(kafka_bootstrap=bootstrap, topic_prefix=PREFIX)
    cascades = asyncio.run(played(settings, redis_server.url, tmp_path))
    records = in_kafka(Outside(bootstrap, PREFIX))
    assert [told(row, cascades[number], records.get(number, {})) for number, row in enumerate(STORIES)] == list(STORIES)
    for number, cascade in enumerate(cascades):
        for topic in TOLD:
            sent = sorted(msgspec.json.encode(value) for value in cascade.world.log.values(topic))
            assert sorted(map(msgspec.json.encode, records.get(number, {}).get(topic, []))) == sent, STORIES[number].en
