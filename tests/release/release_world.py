"""A control topic in memory, snapshots of a small model in their order, and people who give orders about them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from prometheus_client import CollectorRegistry

from models.calibrate import PriorCurve, parse_prior
from models.half_space_trees import Shape
from models.learning import Learning
from models.percentile import Percentile
from models.snapshot import Snapshot, seal
from models.trees_detector import TreesDetector
from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryReader
from pipeline.app.model import give_order, read_board
from pipeline.core.features import LAYOUT, MODEL_FEATURES, UNIT
from pipeline.core.model_board import ModelBoard
from pipeline.core.model_release import Action, Order
from pipeline.core.topics import CONTROL, MODEL_KEY
from pipeline.ports import Outgoing, Poll

T = TypeVar("T")
KEY = b"a key of sixteen bytes or more"
NOW = 1_790_000_000.0
CURVE: PriorCurve = parse_prior(
    "base_rate = 0.3\npoints = [{percentile = 0, probability = 0.1}, {percentile = 100, probability = 0.5}]", "prior"
)


def first_snapshot() -> Snapshot:
    learning = Learning(Shape(trees=4, height=4, window=200, seed=3), MODEL_FEATURES)
    rows = np.random.default_rng(1).random((200, len(MODEL_FEATURES)))
    learning.learn(rows)
    trees = learning.trees()
    return Snapshot(
        LAYOUT,
        MODEL_FEATURES,
        TreesDetector(learning.shape, UNIT, trees),
        Percentile.from_scores(trees.score(rows)),
        200,
        200,
        1,
        {},
        {},
        NOW,
    )


FIRST = first_snapshot()


def snapshot(number: int, epoch: int = 1, model: str = "champion") -> Snapshot:
    """The ``number``-th of a learner's life (from 1)."""
    return replace(FIRST, learned=200 * number, epoch=epoch, model=model)


class Patient(MemoryReader):
    """Gives others their turn."""

    async def poll(self, timeout_s: float) -> Poll:
        await asyncio.sleep(0)
        return await super().poll(timeout_s)


class Town:
    """``control``, and who writes to it."""

    def __init__(self) -> None:
        self.log, self.clock = MemoryLog(1), FixedClock(NOW)

    def put(self, key: bytes, value: bytes) -> None:
        self.log.timestamp_ms = round(self.clock.time * 1000)
        asyncio.run(self.log.append(CONTROL, {0: [Outgoing(key, value)]}))

    def release(self, made: Snapshot) -> Snapshot:
        self.put(MODEL_KEY, seal(made, KEY))
        return made

    def reader(self) -> MemoryReader:
        return Patient(self.log, CONTROL)

    def board(self) -> ModelBoard:
        return asyncio.run(read_board(self.reader, KEY, self.clock))

    def order(self, action: Action, target: str = "", by: str = "ann", board: ModelBoard | None = None) -> Order:
        self.clock.time += 1
        seen = board or self.board()
        given: Coroutine[Any, Any, Order] = give_order(
            self.reader, self.log, seen, KEY, self.clock, action, target, by, f"because of {by}"
        )
        return asyncio.run(given)

    def compacted(self) -> list[Outgoing]:
        """What is left of `control` when only the newest record of each key is."""
        newest = {record.key: record.value for record in self.log.all(CONTROL)}
        return [Outgoing(key, value or b"") for key, value in newest.items()]


def figures(registry: CollectorRegistry) -> dict[str, float]:
    return {
        "/".join((sample.name, *sample.labels.values())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }
