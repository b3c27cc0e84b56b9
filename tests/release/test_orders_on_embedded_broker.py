"""`cardwatch model …` on a broker: an order reaches scorers that run, and holds for those that start later."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from release_world import CURVE, KEY, snapshot
from test_model_orders import MONEY, POLICY

from models.snapshot import seal
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.version_files import VersionFiles
from pipeline.cli import main
from pipeline.core.topics import CONTROL, MODEL_KEY
from pipeline.embedded.broker import start_broker
from pipeline.ports import Outgoing
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.settings import Settings

BOUND_S = 20.0


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    broker = start_broker(tmp_path / "broker", partition_mb=8)
    yield broker.bootstrap
    broker.stop()


class Worker:
    """A scorer's knowledge that follows `control`."""

    def __init__(self, settings: Settings) -> None:
        self.knowledge = Knowledge(POLICY, MONEY, CURVE, KEY, lambda text, name: POLICY)
        self.caught_up, self.stop = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(
            self.knowledge.follow_control(lambda: KafkaReader(settings, CONTROL), self.caught_up, self.stop)
        )

    async def has(self, version: str) -> None:
        while self.knowledge.current.model.version != version:
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        self.stop.set()
        await self.task


async def told(*words: str) -> dict[str, object]:
    """What the command answers."""
    found = await asyncio.to_thread(CliRunner().invoke, main, ["model", *words, "--json"])
    assert found.exit_code == 0, found.output
    answer: dict[str, object] = json.loads(found.output.strip().splitlines()[-1])
    return answer


def test_frozen_pinned_and_gone_on_from(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP": bootstrap, "SNAPSHOT_KEY": KEY.decode(), "ARCHIVE_DIR": str(tmp_path), "LOG_LEVEL": "error",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CARDWATCH_{name}", value)
    settings = Settings()
    old, first, second, third = (snapshot(number) for number in (1, 5, 6, 7))
    VersionFiles(tmp_path).keep_model(seal(old, b"the key before this one was made"))

    async def story() -> None:
        await create_topics(settings, 1)
        log = KafkaLog(settings)
        await log.start()

        async def release(made: bytes) -> None:
            await log.append(CONTROL, {0: [Outgoing(MODEL_KEY, made)]})

        await release(seal(first, KEY))
        workers = [Worker(settings), Worker(settings)]
        await asyncio.gather(*(worker.has(first.version) for worker in workers))
        assert (await told("freeze", "--why", "audit", "--by", "ann"))["version"] == first.version
        await release(seal(second, KEY))
        workers.append(Worker(settings))
        await asyncio.gather(*(worker.caught_up.wait() for worker in workers))
        assert {worker.knowledge.current.model.version for worker in workers} == {first.version}
        await told("pin", old.version, "--why", "it was good", "--by", "ann")
        await asyncio.gather(*(worker.has(old.version) for worker in workers))
        await told("unfreeze", "--why", "enough", "--by", "bo")
        await release(seal(third, KEY))
        await asyncio.gather(*(worker.has(third.version) for worker in workers))
        shown = await told("list")
        assert (shown["in_force"], shown["frozen"]) == (third.version, False)
        await asyncio.gather(*(worker.end() for worker in workers))
        await log.stop()

    asyncio.run(asyncio.wait_for(story(), BOUND_S))
