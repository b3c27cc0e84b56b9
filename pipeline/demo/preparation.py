"""What the demo does before it goes live: topics, a month of history scored into the store, a first model on `control`.

It is a process of its own (``python -m pipeline.demo.preparation``), so that whoever waits for it may give up at any
moment. How far it is, and at last what it did, is told in a small file.
"""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from models.calibrate import parse_prior
from models.scorer import Model
from models.snapshot import seal
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog, partition_of
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.app.config_check import refusal
from pipeline.app.configuration import FEATURE_SPACE, ListFolder, load_money, policy_parser, read
from pipeline.core.features import LAYOUT
from pipeline.core.poll import Versions
from pipeline.core.topics import CONTROL, MODEL_KEY, Outgoing
from pipeline.demo.progress import Progress
from pipeline.embedded.tied import die_with_parent
from pipeline.lab.simulate.attempt import Attempt
from pipeline.lab.simulate.command import world_for
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.warm_up import Past, WarmedUp, shares, warm_up
from pipeline.roles.learner.settings import LearnerSettings

PARTITIONS = 4
SAVE_ROWS = 1_000
TELL_EVERY = 1_000
"""Transactions between two words about how far it is."""


class Plan(argparse.Namespace):
    """The command line. ``epoch``: unix time at which the history ends."""

    preset: str
    seed: int
    epoch: float
    progress: Path


async def prepare(plan: Plan, settings: LearnerSettings) -> Progress:
    """Do all of it. Raises what topics, store and configuration raise."""
    await create_topics(settings, PARTITIONS)
    preset = PRESETS[plan.preset]
    curve = parse_prior(*read(settings, "models/prior.toml"))
    policy = policy_parser(settings)(*read(settings, "policies/default.toml"))
    lists = ListFolder(settings).read()
    model = Model.day_one(LAYOUT, curve)
    versions = Versions(policy.in_force(lists), model, load_money(settings), lists=lists)
    history = Stream(world_for(preset, plan.seed, plan.epoch)).history(preset.days)
    begin_s = plan.epoch - preset.days * 86_400

    def tell(time_s: float, read: int) -> None:
        Progress((time_s - begin_s) / (plan.epoch - begin_s), read).write(plan.progress)

    past = told(history, tell)
    warmed = warm_up(
        past, versions, curve, PARTITIONS, lambda card: partition_of(card, PARTITIONS), settings.plan, FEATURE_SPACE
    )
    await hand_over(warmed, settings)
    return Progress(1.0, warmed.transactions, sum(len(rows) for rows in warmed.rows.values()), done=True)


def told(history: Iterator[Attempt], tell: Callable[[float, int], None]) -> Iterator[Past]:
    """``history`` as records; ``tell`` hears now and then of its time (unix seconds) and number."""
    for number, attempt in enumerate(history):
        if number % TELL_EVERY == 0:
            tell(attempt.time, number)
        yield Past(attempt.time, attempt.key(), attempt.value())


async def hand_over(warmed: WarmedUp, settings: LearnerSettings) -> None:
    """Rows into the store, as the partitions' first checkpoints; the model on its topic."""
    redis = connect(settings.redis_url)
    store = RedisProfiles(redis, settings.topic_prefix)
    await store.layout(PARTITIONS)
    for number, rows in warmed.rows.items():
        taken = await store.take(number, secrets.token_hex(16))
        for sequence, piece in enumerate(shares(rows, SAVE_ROWS), start=taken.sequence + 1):
            await store.save(number, taken.token, sequence, 0, piece)
    await redis.aclose()
    if warmed.snapshot is not None:
        log = KafkaLog(settings)
        await log.start()
        await log.send(CONTROL, [Outgoing(MODEL_KEY, seal(warmed.snapshot, settings.signing_key))])
        await log.stop()


def parse(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.demo.preparation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--preset", required=True, choices=sorted(PRESETS))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--epoch", type=float, required=True, help="unix time at which the history ends")
    parser.add_argument("--progress", type=Path, required=True, help="the file that tells how far it is")
    return parser.parse_args(arguments, namespace=Plan())


def main(arguments: Sequence[str]) -> int:
    """Answers 0, or 2 when the configuration is wrong; then standard error says what."""
    plan = parse(arguments)
    try:
        asyncio.run(prepare(plan, LearnerSettings())).write(plan.progress)
    except Exception as error:
        words = refusal(error)
        if words is None:
            raise
        sys.stderr.write(f"{words}\n")
        return 2
    return 0


if __name__ == "__main__":
    die_with_parent()
    sys.exit(main(sys.argv[1:]))
