"""The learner as it is wired: a challenger of the file is on `control` beside the champion, and both are told of."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from learner_world import KEY, scored

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.app.learner import run_learner
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.model_board import ModelBoard
from pipeline.core.topics import CONTROL, SCORED
from pipeline.embedded.broker import start_broker
from pipeline.embedded.process import free_port
from pipeline.embedded.store import EmbeddedStore
from pipeline.ports import Outgoing
from pipeline.settings import Settings

CONFIG = Path(__file__).parents[2] / "config"
BOUND_S = 30.0
CHALLENGER = '\n[[challenger]]\nname = "plain"\nclassifier = "logistic"\nrate = 0.05\n'


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[str]:
    broker = start_broker(tmp_path / "broker", partition_mb=8)
    yield broker.bootstrap
    broker.stop()


def test_the_role_publishes_the_challengers_of_its_file(
    bootstrap: str, valkey: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    with (tmp_path / "config/models.toml").open("a") as file:
        file.write(CHALLENGER)
    for name, value in {
        "KAFKA_BOOTSTRAP": bootstrap, "REDIS_URL": valkey.url, "CONFIG_DIR": str(tmp_path / "config"),
        "SNAPSHOT_KEY": KEY.decode(), "METRICS_PORT": str(free_port()), "LEARNER_WINDOW": "100", "LOG_LEVEL": "error",
        "TOPIC_PREFIX": "challengers.",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"CARDWATCH_{name}", value)
    settings = Settings()
    rows = np.random.default_rng(3).gamma(1, 2, (250, len(CATALOGUE)))

    async def story() -> ModelBoard:
        await create_topics(settings, 1)
        log, reader, board = KafkaLog(settings), KafkaReader(settings, CONTROL), ModelBoard(KEY)
        await log.start()
        await log.append(SCORED, {0: [Outgoing(b"0", scored(rows, 0, layout=LAYOUT))]})
        stop = asyncio.Event()
        running = asyncio.create_task(run_learner(stop))
        await reader.start()
        while board.report is None and not running.done():
            for record in (await reader.poll(0.1)).get(0, ()):
                board.take(record)
        stop.set()
        await running
        await reader.stop()
        await log.stop()
        return board

    board = asyncio.run(asyncio.wait_for(story(), BOUND_S))
    assert [shown.state for shown in board.versions()] in (["in_force", "challenger"], ["challenger", "in_force"])
    assert set(board.challengers()) == {"plain"}
    assert board.report is not None
    assert [(told.name, told.champion) for told in board.report.models] == [("champion", True), ("plain", False)]
    assert board.report.judged is not None
    assert board.report.judged.outside == []
