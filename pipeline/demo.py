"""`cardwatch demo`: everything on this machine, in separate processes that share nothing but broker, store and HTTP.

Broker and store are embedded; a month of simulated history is scored straight into the store and trains the first
model; then simulated cards pay live, thieves come as they do, and every alert is found by the scorer. A role that is
killed comes back; so does the store, with its data. The broker keeps its records in memory only: when it dies the demo
begins anew, and says so.
"""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from models.calibrate import parse_prior
from models.scorer import Model
from models.snapshot import seal
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog, partition_of
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.app.configuration import FEATURE_SPACE, load_money, policy_parser, read
from pipeline.core.features import LAYOUT, MODEL_FEATURES
from pipeline.core.scoring import Versions
from pipeline.core.topics import CONTROL, Outgoing
from pipeline.embedded.broker import start_broker
from pipeline.embedded.process import free_port
from pipeline.embedded.store import EmbeddedStore
from pipeline.lab.simulate.command import world_for
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.warm_up import Past, shares, warm_up
from pipeline.roles.learner.role import MODEL_KEY
from pipeline.roles.learner.settings import LearnerSettings
from pipeline.supervisor import LOOK_S, Kept, Supervisor

PARTITIONS = 4
PRESET = "demo"
SAVE_ROWS = 1_000
KEY_BYTES = 32


@dataclass(frozen=True)
class Places:
    """Where the demo's processes listen, and its directory."""

    directory: Path
    desk_port: int
    callback_port: int
    phone_port: int


def environment(places: Places, bootstrap: str, redis_url: str) -> dict[str, str]:
    """What the roles read; secrets are files that only this user can read."""
    keys = {}
    for name in ("SNAPSHOT_KEY", "VOICE_KEY", "CALLBACK_SECRET", "TOKEN_KEY"):
        path = places.directory / f"{name.lower()}.secret"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(KEY_BYTES))
        keys[f"CARDWATCH_{name}_FILE"] = str(path)
    return {
        **os.environ,
        **keys,
        "CARDWATCH_KAFKA_BOOTSTRAP": bootstrap,
        "CARDWATCH_REDIS_URL": redis_url,
        "CARDWATCH_DESK_PORT": str(places.desk_port),
        "CARDWATCH_DESK_PHONE_URL": f"http://127.0.0.1:{places.phone_port}",
        "CARDWATCH_VOICE_URL": f"http://127.0.0.1:{places.phone_port}",
        "CARDWATCH_CALLBACK_PORT": str(places.callback_port),
        "CARDWATCH_CONTACT_PROFILE": "demo",
    }


async def prepare(settings: LearnerSettings, seed: int, epoch: float) -> tuple[int, int]:
    """Topics, a month of history in the store, the first model on `control`. Answers transactions and cards."""
    await create_topics(settings, PARTITIONS)
    preset = PRESETS[PRESET]
    curve = parse_prior(*read(settings, "models/prior.toml"))
    policy = policy_parser(settings)(*read(settings, "policies/default.toml"))
    versions = Versions(policy, Model.day_one(MODEL_FEATURES, LAYOUT, curve), load_money(settings))
    history = Stream(world_for(preset, seed, epoch)).history(preset.days)
    past = (Past(attempt.time, attempt.key(), attempt.value()) for attempt in history)
    warmed = warm_up(
        past, versions, curve, PARTITIONS, lambda card: partition_of(card, PARTITIONS), settings.plan, FEATURE_SPACE
    )
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
    return warmed.transactions, sum(len(rows) for rows in warmed.rows.values())


def programs(places: Places, seed: int, epoch: float) -> Iterator[tuple[str, list[str]]]:
    """What to keep running beside broker and store: name and command, in order of starting."""
    cardwatch = [sys.executable, "-m", "pipeline.cli"]
    truth = str(places.directory / "truth.jsonl")
    yield "telephony", [
        sys.executable, "-m", "pipeline.lab.telephony",
        "--port", str(places.phone_port),
        "--state-dir", str(places.directory / "telephony"),
        "--callback-secret-file", str(places.directory / "callback_secret.secret"),
        "--api-key-file", str(places.directory / "voice_key.secret"),
        "--behaviour", "interactive",
        "--truth", truth,
    ]  # fmt: skip
    for role in ("scorer", "learner", "contact", "desk"):
        yield role, [*cardwatch, "run", role]
    yield "simulate", [*cardwatch, "simulate", "--preset", PRESET, "--seed", str(seed), "--epoch", str(epoch), "--truth", truth]  # fmt: skip


class Demo:
    """One run of the demo, from an empty broker and store to its end."""

    def __init__(self, places: Places, seed: int, say: Callable[[str], None]) -> None:
        self._places = places
        self._seed = seed
        self._say = say
        self._epoch = time.time()

    def run(self, ended: Callable[[], bool]) -> bool:
        """Until ``ended`` (answers True) or the broker is gone (answers False: begin anew)."""
        directory = self._places.directory
        store = EmbeddedStore(directory / "store")
        broker = start_broker(directory / "broker")
        supervisor = Supervisor()
        try:
            store.start()
            self._say("broker and store are up; a month of simulated history is being scored …")
            values = environment(self._places, broker.bootstrap, store.url)
            started = time.monotonic()
            count, cards = asyncio.run(prepare(_settings(values), self._seed, self._epoch))
            self._say(f"{count:,} transactions of {cards:,} cards scored in {time.monotonic() - started:.0f} s")
            for name, command in programs(self._places, self._seed, self._epoch):
                supervisor.keep(Kept(name, command, directory / f"{name}.log", values))
            self._say(
                f"the desk is at http://127.0.0.1:{self._places.desk_port} - the first alert comes within a minute"
            )
            self._say(f"logs and state: {directory}; Ctrl-C ends everything")
            while not ended():
                supervisor.look()
                if store.child.exit_code is not None:
                    self._say("the store ended: it is started again with its data")
                    store.start()
                if broker.child.exit_code is not None:
                    self._say("the broker ended and its records with it: the demo begins anew")
                    return False
                time.sleep(LOOK_S)
            return True
        finally:
            supervisor.stop()
            broker.stop()
            store.stop()


def _settings(values: dict[str, str]) -> LearnerSettings:
    """Settings as the roles will read them."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        return LearnerSettings()
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_demo(seed: int, desk_port: int, ended: Callable[[], bool]) -> None:
    """Run demos, each in a fresh directory, until ``ended``."""
    while not ended():
        with tempfile.TemporaryDirectory(prefix="cardwatch-demo-", ignore_cleanup_errors=True) as directory:
            places = Places(Path(directory), desk_port, free_port(), free_port())
            Demo(places, seed, lambda words: click.echo(f"[{time.strftime('%H:%M:%S')}] {words}")).run(ended)
