"""What the scorer's tests share: the delivered configuration, transactions as records, and a small trained model."""

import json
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.calibrate import PriorCurve, parse_prior
from models.half_space_trees import Shape
from models.learning import Learning
from models.percentile import Percentile
from models.snapshot import Snapshot
from models.trees_detector import TreesDetector
from pipeline.adapters.kafka.log import partition_of
from pipeline.adapters.memory import StoredRecord
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import Money, parse_rates
from pipeline.core.features import LAYOUT, MODEL_FEATURES, UNIT
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.profile_row import EMPTY_ROW, RING, SPARE

CONFIG = Path(__file__).parents[2] / "config"
PARTITIONS = 3
NOW = 1_790_000_000.0
"""Unix seconds around which the tests' transactions lie."""
KEY = b"a key of sixteen bytes or more"


def parse(text: str, filename: str) -> Policy:
    return parse_policy(text, filename, SCHEMA)


def delivered_policy() -> Policy:
    path = CONFIG / "policies" / "default.toml"
    return parse(path.read_text(), str(path))


def delivered_money() -> Money:
    return parse_rates((CONFIG / "rates.toml").read_text(), "rates.toml")


def delivered_curve() -> PriorCurve:
    return parse_prior((CONFIG / "models" / "prior.toml").read_text(), "prior.toml")


def place_of(card: bytes) -> int:
    return partition_of(card, PARTITIONS)


@cache
def _cards_of(partition: int) -> list[str]:
    cards = (f"tok_t_{attempt:08}" for attempt in range(10_000))
    return [card for card in cards if place_of(card.encode()) == partition]


def card_in(partition: int, number: int = 0) -> str:
    """The ``number``-th card that belongs to ``partition``."""
    return _cards_of(partition)[number]


def transaction(id_: str, card: str, at: float = NOW, **changes: Any) -> dict[str, Any]:
    time = datetime.fromtimestamp(at, UTC).isoformat()
    return {"id": id_, "card": card, "time": time, "amount": 5_000, "currency": "CNY", "merchant": "m1"} | changes


def records(partition: int, messages: Iterable[dict[str, Any]], first: int = 0, at: float = NOW) -> list[StoredRecord]:
    """``messages`` as records of ``partition``, from offset ``first`` on."""
    return [
        StoredRecord(partition, offset, int(at * 1000), message["card"].encode(), json.dumps(message).encode())
        for offset, message in enumerate(messages, first)
    ]


def row_of(letters: bytes, newest: float = NOW) -> bytes:
    """A card row of the present layout that carries ``letters`` (at most 64), its newest event at ``newest``."""
    row = bytearray(EMPTY_ROW)
    row[SPARE : SPARE + len(letters)] = letters
    struct.pack_into("<d", row, 14, newest)
    return bytes(row)


def letters_of(row: bytes) -> bytes:
    """What `row_of` put there."""
    return row[SPARE:RING].rstrip(b"\0")


def trained(rows: np.ndarray[Any, np.dtype[np.float64]], epoch: int = 1, seed: int = 7) -> Snapshot:
    """A model of ``rows`` (float64[n, M], 0…1, n ≥ 200): whole windows of 200 rows learned."""
    learning = Learning(Shape(trees=8, height=5, window=200, seed=seed), MODEL_FEATURES)
    while len(rows) - learning.learned >= 200:
        learning.learn(rows[learning.learned :])
    trees = learning.trees()
    grid = Percentile.from_scores(trees.score(rows[: learning.learned]))
    return Snapshot(
        LAYOUT,
        MODEL_FEATURES,
        TreesDetector(learning.shape, UNIT, trees),
        grid,
        learning.learned,
        learning.learned,
        epoch,
        {},
        {},
        NOW,
    )


def trained_on_noise(epoch: int = 1, seed: int = 7) -> Snapshot:
    return trained(np.random.default_rng(seed).random((200, len(MODEL_FEATURES))), epoch, seed)
