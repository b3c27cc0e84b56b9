"""What the measured scorer knows: the installation's policy and rates, and a model trained on the simulated month that the
demo begins with. Not on the benchmark's own stream: many of its transactions share one moment, and a model of a few such
cards takes the same on other cards for fraud, so that most decisions would be alerts, as at no bank."""

import itertools
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from models.calibrate import PriorCurve, parse_prior
from models.scorer import Model
from models.snapshot import Snapshot, seal
from models.surprise import SurprisePlan
from pipeline.adapters.kafka.log import partition_of
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.features import CATALOGUE, LAYOUT, NUMBER_OF, SURPRISE_FEATURES
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Versions
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import PARTITIONS
from pipeline.lab.simulate.command import world_for
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.warm_up import Past, warm_up
from pipeline.roles.learner.course import FeatureSpace, Plan

DETECTOR = SurprisePlan(SURPRISE_FEATURES, tuple(NUMBER_OF[name] for name in SURPRISE_FEATURES))
LEARN_EVERYTHING = 1e9
GRID_ROWS = 20_000
WORLD = "demo"
SEED = 1


class Known(NamedTuple):
    """``versions`` with the trained model in force; ``sealed`` is that model as published."""

    versions: Versions
    curve: PriorCurve
    sealed: bytes


def where(card: bytes) -> int:
    """The partition of a card."""
    return partition_of(card, PARTITIONS)


def know(config: Path, policy: Path, rows: int, key: bytes) -> Known:
    """Read the configuration and train on at most ``rows`` transactions. Raises BenchFailed when they
    are too few for a model, and what the configuration files raise."""

    def text(path: Path | str) -> tuple[str, str]:
        found = config / path
        return found.read_text(encoding="utf-8"), str(found)

    curve = parse_prior(*text("models/prior.toml"))
    versions = Versions(
        parse_policy(*text(policy), SCHEMA),
        Model.day_one(LAYOUT, curve),
        parse_rates(*text("rates.toml")),
    )
    snapshot = _train(versions, curve, rows)
    return Known(versions._replace(model=Model.trained(snapshot, curve)), curve, seal(snapshot, key))


def _train(versions: Versions, curve: PriorCurve, rows: int) -> Snapshot:
    preset = PRESETS[WORLD]
    history = itertools.islice(Stream(world_for(preset, SEED, time.time())).history(preset.days), rows)
    past = (Past(attempt.time, attempt.key(), attempt.value()) for attempt in history)
    plan = Plan(DETECTOR, LEARN_EVERYTHING, GRID_ROWS)
    space = FeatureSpace(len(CATALOGUE), LAYOUT)
    snapshot = warm_up(past, versions, curve, PARTITIONS, lru_cache(None)(where), plan, space).snapshot
    if snapshot is None:
        raise BenchFailed(f"{rows} transactions are too few to train a model: at least {DETECTOR.window} are needed")
    return snapshot
