"""Small streams of transactions, and banks that are easier to see through than the real one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np

from models.calibrate import PriorCurve
from models.half_space_trees import Shape
from models.scorer import Model
from models.trees_detector import TreesPlan
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import Money
from pipeline.core.features import CATALOGUE, LAYOUT, MODEL_FEATURES, UNIT
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Versions
from pipeline.lab.evaluate.bank import Judged, Known
from pipeline.lab.evaluate.run import Start
from pipeline.lab.evaluate.stream import Labelled
from pipeline.roles.learner.course import FeatureSpace, Plan

DAY_S = 86_400.0
MIDNIGHT = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""
CURVE = PriorCurve(0.01, np.array([0.0, 90.0, 100.0]), np.array([0.0, 0.005, 0.5]))
POLICY = """
name = "test"
[[threshold]]
score = 0.2
actions = { queue = "review" }
reason = "score_review"
"""
START = Start(
    Versions(
        parse_policy(POLICY, "test.toml", SCHEMA, {"score_review"}),
        Model.day_one(LAYOUT, CURVE),
        Money("CNY", {"CNY": 1.0}),
    ),
    CURVE,
    Plan(TreesPlan(Shape(trees=10, height=6, window=60, seed=3), MODEL_FEATURES, UNIT), max_rate=5.0, grid_rows=500),
    FeatureSpace(len(CATALOGUE), LAYOUT),
)


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def row(number: int, at: float, card: int = 0, fraud: bool = False, amount: int = 1_000, **fields: object) -> Labelled:
    message = {
        "id": f"t{number}",
        "card": f"tok_c{card:08d}",
        "time": moment(at),
        "amount": amount,
        "currency": "CNY",
        **fields,
    }
    return Labelled(number, at, msgspec.json.encode(message), fraud, "theft" if fraud else None)


def month(rows: int = 1_500, days: int = 30, cards: int = 20, seed: int = 1) -> list[Labelled]:
    """``rows`` spread over ``days``; frauds have large amounts."""
    draws = np.random.default_rng(seed)
    times = np.sort(draws.random(rows)) * days * DAY_S + MIDNIGHT
    return [
        row(
            number,
            round(float(at), 3),
            int(draws.integers(cards)),
            bool(fraud),
            int(draws.lognormal(10, 0.8) * (20 if fraud else 1)),
            merchant=f"M{draws.integers(30)}",
            entry_mode=str(draws.choice(["chip", "contactless", "ecommerce"])),
        )
        for number, (at, fraud) in enumerate(zip(times, draws.random(rows) < 0.03, strict=True), 1)
    ]


def chunked(rows: Sequence[Labelled], size: int) -> list[list[Labelled]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


@dataclass
class Diary:
    """A bank that notes what it is told, in order. Scores are the number of fraud labels known so far."""

    entries: list[tuple[object, ...]] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)

    def score(self, chunk: Sequence[Labelled]) -> Judged:
        self.entries += [("score", each.number) for each in chunk]
        n = len(chunk)
        messages = [msgspec.json.decode(each.value) for each in chunk]
        score = np.full(n, float(sum(label.fraud for label in self.known)))
        return Judged(
            [message["id"] for message in messages],
            [message["card"] for message in messages],
            np.arange(n),
            np.array([each.at for each in chunk]),
            np.ones(n),
            score,
            score,
            score + np.array([message["amount"] / 1e9 for message in messages]),
            np.zeros(n, dtype=np.uint8),
            np.zeros(n, dtype=np.bool_),
            [],
        )

    def labels(self, labels: Sequence[Known]) -> None:
        self.known += labels
        self.entries += [("label", label.transaction, label.fraud) for label in labels]

    def tick(self, at: float) -> None:
        self.entries.append(("tick", at - MIDNIGHT))
