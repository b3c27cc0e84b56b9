"""Wiring of the learner."""

import asyncio
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from models.calibrate import parse_prior
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.files import WatchedFile
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.lease import RedisLease
from pipeline.app.configuration import (
    FEATURE_SPACE,
    TAGS,
    done_before,
    new_registry,
    ops_port,
    policy_thresholds,
    read,
    read_models,
)
from pipeline.core.features import CATALOGUE
from pipeline.core.model_shelf import fitting
from pipeline.core.topics import CONTROL, CUSTOMER_EVENTS, CUSTOMER_STATE, LABELS, SCORED
from pipeline.ports_archive import Past
from pipeline.roles.learner.columns import COLUMNS
from pipeline.roles.learner.customer_metrics import CustomerMetrics
from pipeline.roles.learner.customers import Customers
from pipeline.roles.learner.kinds import maker
from pipeline.roles.learner.labelled import Contender
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.release import ReleasePlan, Releasing
from pipeline.roles.learner.role import Learner
from pipeline.roles.learner.settings import LearnerSettings
from pipeline.roles.learner.world import World

FEATURE_NAMES = tuple(feature.name for feature in CATALOGUE)


async def run_learner(stop: asyncio.Event, worker: int = 0) -> None:
    settings = LearnerSettings()
    registry = new_registry()
    metrics = LearnerMetrics(registry)
    kafka = KafkaLog(settings)
    if not await done_before(stop, kafka.start()):
        return
    redis = connect(settings.redis_url)
    world = World(
        open_scored=lambda: KafkaReader(settings, SCORED),
        open_control=lambda: KafkaReader(settings, CONTROL),
        log=kafka,
        lease=RedisLease(redis, settings.topic_prefix),
        clock=SystemClock(),
        open_labels=lambda: KafkaReader(settings, LABELS),
        past=_past(settings.learner_archive_dir),
        open_customer_events=lambda: KafkaReader(settings, CUSTOMER_EVENTS),
    )
    curve = parse_prior(*read(settings, "models/prior.toml"))
    models = read_models(settings)
    labels = settings.labels(maker(models.champion), len(COLUMNS), curve.of)._replace(
        challengers={one.name: Contender(maker(one), one.share) for one in models.challengers}
    )
    plan = settings.plan._replace(labels=labels, merchants=True, model=models.champion.name, features=FEATURE_NAMES)
    release = ReleasePlan(
        models.bands,
        policy_thresholds(settings),
        partial(fitting, curve=curve),
    )
    customers = Customers(
        lambda: KafkaReader(settings, CUSTOMER_STATE), world.open_scored, kafka, world.clock,
        WatchedFile(settings.config_dir / TAGS), ZoneInfo(settings.bank_time_zone), CustomerMetrics(registry),
        settings.customer_pace,
    )  # fmt: skip
    learner = Learner(
        world, FEATURE_SPACE, plan, settings.signing_key, metrics, settings.pace,
        lambda: Releasing(release, settings.signing_key, metrics), customers,
    )  # fmt: skip
    ops = OpsServer(registry, lambda: True, settings.metrics_host, ops_port(settings, "learner", worker))
    await ops.start()
    await learner.run(stop)
    await ops.stop()
    await kafka.stop()
    await redis.aclose()


def _past(archive: Path | None) -> Past | None:
    """DuckDB, some 65 MB, is loaded only where there is something to read with it."""
    if archive is None:
        return None
    from pipeline.adapters.parquet_past import ParquetPast

    return ParquetPast(archive)
