"""Wiring of the scorer."""

import asyncio
import contextlib
import gc
import hashlib

import structlog

from models.calibrate import parse_prior
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.files import WatchedFile
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.huge_pages import collapse
from pipeline.adapters.kafka.log import KafkaLog, partition_of
from pipeline.adapters.kafka.parts import KafkaPartsReader
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.kafka.worker import Worker
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.app.configuration import (
    ListFolder,
    WrongInstallation,
    done_before,
    load_money,
    new_registry,
    ops_port,
    policy_parser,
    read,
    secret,
    until,
)
from pipeline.core.advancing import COMPILED
from pipeline.core.card_findings import BAD_MOVED_ROW
from pipeline.core.scoring import REFUSALS
from pipeline.core.topics import CONTROL, MOVED_ROWS, POLICY_KEY, TRANSACTIONS, Outgoing
from pipeline.ports import StoreDown
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.role import Scorer
from pipeline.roles.scorer.settings import ScorerSettings

STORE_WAIT_S = 0.5
POLICY_LOOK_S = 5.0
"""How often to look whether another policy is in force, to put its text on `control` …"""
POLICY_RETRY_S = 60.0
"""… and how soon again after that failed."""
COLLECT_AFTER = (100_000, 20, 100)
"""Objects made before a young collection (about those of five full polls), and collections before an older one."""

log = structlog.get_logger()


async def run_scorer(stop: asyncio.Event, worker: int = 0) -> None:
    settings = ScorerSettings()
    registry = new_registry()
    metrics = ScorerMetrics(registry)
    metrics.know_reasons(sorted(REFUSALS | {BAD_MOVED_ROW}))
    policy_file = WatchedFile(settings.config_dir / settings.scorer_policy)
    parse = policy_parser(settings)
    lists = ListFolder(settings)
    knowledge = Knowledge(
        parse(*policy_file.read()),
        load_money(settings),
        parse_prior(*read(settings, "models/prior.toml")),
        secret(settings.snapshot_key),
        parse,
        lists.read(),
    )
    kafka = KafkaLog(settings)
    if not await done_before(stop, kafka.start()):
        return
    partitions = await kafka.partitions(TRANSACTIONS)
    if (others := await kafka.partitions(MOVED_ROWS)) != partitions:
        raise WrongInstallation(
            f"topic {MOVED_ROWS.name} has {others} partitions and {TRANSACTIONS.name} {partitions}: rows could not follow "
            f"their cards. Delete {MOVED_ROWS.name} and run `cardwatch topics create --partitions {partitions}`"
        )
    redis = connect(settings.redis_url)
    store = RedisProfiles(redis, settings.topic_prefix)
    if not await done_before(stop, check_layout(store, partitions)):
        return
    caught_up = asyncio.Event()
    followers = [
        asyncio.create_task(knowledge.follow_policy(policy_file, stop)),
        asyncio.create_task(knowledge.follow_lists(lists, stop)),
        asyncio.create_task(tell_policies(settings, knowledge, stop)),
        asyncio.create_task(knowledge.follow_control(lambda: KafkaReader(settings, CONTROL), caught_up, stop)),
    ]
    try:
        await asyncio.wait_for(caught_up.wait(), settings.scorer_model_wait_s)
    except TimeoutError:
        log.warning("no answer from the control topic: the built-in model serves until one comes")
    scorer = Scorer(
        kafka,
        store,
        knowledge,
        lambda card: partition_of(card, partitions),
        SystemClock(),
        settings,
        metrics,
        loaded=collapse,
    )
    kafka_worker = Worker(settings, TRANSACTIONS, "scorer", scorer)
    scorer.following.lag = lambda: kafka_worker.lag

    def refresh() -> None:
        metrics.know_rules(rule.name for rule in knowledge.current.policy.rules)
        scorer.refresh_metrics(kafka_worker.lag)

    ops = OpsServer(registry, kafka_worker.ready, settings.metrics_host, ops_port(settings, "scorer", worker), refresh)
    await ops.start()
    await kafka_worker.start()
    followers.append(asyncio.create_task(scorer.follow(lambda: KafkaPartsReader(settings), stop)))
    spare_the_collector()
    log.info(
        "scoring", compiled=COMPILED, policy=knowledge.current.policy.version, model=knowledge.current.model.version
    )
    await until(stop, followers)
    await kafka_worker.stop()
    await asyncio.gather(*followers)
    await ops.stop()
    await kafka.stop()
    await redis.aclose()


async def tell_policies(settings: ScorerSettings, knowledge: Knowledge, stop: asyncio.Event) -> None:
    """Put the text of each policy that comes into force on `control`, by its version: what was decided under it can be
    explained when the file has long been changed. Decisions never wait for it."""
    told = ""
    while not stop.is_set():
        version, pause_s = knowledge.current.policy.version, POLICY_LOOK_S
        if version != told:
            try:
                await _tell_policy(settings, version)
                told = version
            except Exception as error:  # of the file or the broker; without the right to write it is tried in vain
                log.warning("the policy's text was not put on control", version=version, error=repr(error))
                pause_s = POLICY_RETRY_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)


async def _tell_policy(settings: ScorerSettings, version: str) -> None:
    path = settings.config_dir / settings.scorer_policy
    text = path.read_text(encoding="utf-8").removeprefix("\ufeff").encode()
    if hashlib.sha256(text).hexdigest()[:12] != version.rpartition("@")[2]:
        return  # it was changed again: the next one is told
    kafka = KafkaLog(settings)  # of its own: a refusal must not touch the producer of decisions
    try:
        await kafka.start()
        await kafka.send(CONTROL, [Outgoing(POLICY_KEY + version.encode(), text)])
    finally:
        await kafka.stop()


def spare_the_collector() -> None:
    """What a poll makes is freed by reference counts. Python's cycle collector would look at it dozens of times a poll
    first, a third of the scorer's time; what was made until now it need not look at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def check_layout(store: RedisProfiles, partitions: int) -> None:
    """Cards move when the number of partitions changes: then stored rows lie under the wrong partition."""
    while True:
        try:
            stored = await store.layout(partitions)
        except StoreDown as error:
            log.warning("waiting for the store", error=str(error))
            await asyncio.sleep(STORE_WAIT_S)
            continue
        if stored != partitions:
            raise WrongInstallation(
                f"topic transactions has {partitions} partitions, but the stored card profiles were made for {stored}: "
                "restore the topic's number, or move the profiles first"
            )
        return
