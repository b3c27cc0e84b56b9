"""The scorer without a broker, as a process: ``python -m pipeline.lab.bench.scoring_process``. It makes its polls, says
that it is ready, waits for the word, and scores them as fast as it can with checkpoints to Redis."""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from models.calibrate import parse_prior
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.memory import StoredRecord
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.policy import Policy, parse_policy
from pipeline.core.topics import Topic
from pipeline.lab.bench.kafka import PARTITIONS
from pipeline.lab.bench.knowledge import where
from pipeline.lab.bench.stream import Stream
from pipeline.ports import MAX_POLL_RECORDS, Outgoing, Poll
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.roles.scorer.metrics import ScorerMetrics
from pipeline.roles.scorer.role import Scorer
from pipeline.roles.scorer.settings import ScorerSettings

LOOK_S = 0.001


class Words(argparse.Namespace):
    """The command line. ``place`` says "ready", then what was done; scoring begins when ``go`` exists."""

    core: int
    transactions: int
    cards: int
    model: Path
    place: Path
    go: Path


class Forgetful:
    """The Log port on nothing: records are made, then dropped."""

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        return None

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        return None

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        return None


class Certain:
    """The Membership port of the only member."""

    async def proven(self, partition: int) -> bool:
        return True


def polls(stream: Stream, transactions: int) -> list[Poll]:
    """The stream's first transactions as full polls."""
    made: list[Poll] = []
    offsets = [0] * PARTITIONS
    moment_ms = int(time.time() * 1e3)
    place_of = lru_cache(None)(where)
    for start in range(0, transactions, MAX_POLL_RECORDS):
        poll: dict[int, list[StoredRecord]] = {}
        for number in range(start, min(start + MAX_POLL_RECORDS, transactions)):
            key = stream.key(number)
            place = place_of(key)
            poll.setdefault(place, []).append(StoredRecord(place, offsets[place], moment_ms, key, stream.value(number)))
            offsets[place] += 1
        made.append(poll)
    return made


def _knowledge(settings: ScorerSettings, model: bytes) -> Knowledge:
    def text(path: Path | str) -> tuple[str, str]:
        found = settings.config_dir / path
        return found.read_text(encoding="utf-8"), str(found)

    def parse(words: str, filename: str) -> Policy:
        return parse_policy(words, filename, SCHEMA)

    assert settings.snapshot_key is not None, "the benchmark gives one"
    knowledge = Knowledge(
        parse(*text(settings.scorer_policy)),
        parse_rates(*text("rates.toml")),
        parse_prior(*text("models/prior.toml")),
        settings.snapshot_key.get_secret_value().encode(),
        parse,
    )
    assert knowledge.take_model(model), "the model was made for this run"
    return knowledge


async def run(words: Words, settings: ScorerSettings) -> None:
    redis = connect(settings.redis_url)
    scorer = Scorer(
        Forgetful(),
        RedisProfiles(redis, settings.topic_prefix),
        _knowledge(settings, words.model.read_bytes()),
        where,
        SystemClock(),
        settings,
        ScorerMetrics(CollectorRegistry()),
    )
    for partition in range(PARTITIONS):
        await scorer.load(partition, Certain(), "bench", 1)
    recorded = polls(Stream(words.cards), words.transactions)
    words.place.touch()
    while not words.go.exists():
        await asyncio.sleep(LOOK_S)
    began, cpu = time.monotonic(), time.process_time()
    for poll in recorded:
        await scorer.polled(poll)
        await scorer.boundary()
    ended = time.monotonic()
    done = {"transactions": words.transactions, "began": began, "ended": ended, "cpu_s": time.process_time() - cpu}
    words.place.write_text(json.dumps(done))
    await scorer.revoked(True)
    await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("core", "transactions", "cards"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("model", "place", "go"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    words = parser.parse_args(namespace=Words())
    os.sched_setaffinity(0, {words.core})
    uvloop.run(run(words, ScorerSettings()))


if __name__ == "__main__":
    main()
