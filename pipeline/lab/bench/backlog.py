"""How fast a program works off what has piled up: transactions are there before it starts, decisions are counted."""

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer

from pipeline.core import scored as scored_record
from pipeline.embedded.process import Child
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import BATCH, Cluster, preload, usable
from pipeline.lab.bench.options import OURS
from pipeline.lab.bench.process import Cost, cost
from pipeline.lab.bench.stream import Stream
from pipeline.lab.bench.workplace import Ground, Workplace

GIVE_UP_S = 240.0
WAIT_S = 0.2
LEAST_BATCHES = 20
"""A small backlog is not counted in one go: then there would be no time between its first and its last."""
SAMPLE = 100
SAMPLE_S = 0.5


class Bytes(msgspec.Struct, frozen=True):
    """Bytes of Kafka payload (keys, values, headers) and of Redis traffic per transaction."""

    transaction: float
    decision: float
    scored: float
    store: float


class Backlog(msgspec.Struct, frozen=True):
    """One program in one round. ``rate`` decisions a second between the first that came and the last."""

    transactions: int
    rate: float
    cost: Cost | None
    bytes: Bytes | None


class Counted(NamedTuple):
    """``n`` records, all but the first batch within ``seconds``."""

    n: int
    after_first: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.after_first / max(self.seconds, 1e-9)


def count(consumer: Consumer, expected: int, child: Child) -> Counted:
    """Count what comes until all is there. Never asks for more than is missing, or the last batch would wait in vain
    for records that never come. Raises BenchFailed when ``child`` ends or nothing more comes."""
    most = min(BATCH, max(1, expected // LEAST_BATCHES))
    n = first_n = 0
    first = last = 0.0
    deadline = time.monotonic() + GIVE_UP_S
    while n < expected:
        found = len(usable(consumer.consume(min(most, expected - n), WAIT_S)))
        if found:
            last = time.monotonic()
            if not n:
                first, first_n = last, found
            n += found
        elif child.exit_code is not None or time.monotonic() > deadline:
            raise BenchFailed(f"{child.name} decided {n} of {expected} transactions; its log ends:\n{child.tail()}")
    return Counted(n, n - first_n, last - first)


def measure(workplace: Workplace, program: str) -> Backlog:
    """One run of ``program`` on topics of its own."""
    sizes = workplace.options.sizes
    expected = sizes.backlog[program]
    ground = workplace.ground(program)
    preload(workplace.producer, ground.source, Stream(sizes.stream_cards), range(expected))
    received = workplace.store_bytes_in() if program == OURS else 0
    child, scorer = workplace.program(program, ground)
    began = scorer.first_course() if scorer else None  # it joins its group only after it answers: nothing is missed
    consumer = workplace.cluster.reader(ground.target)
    try:
        counted = count(consumer, expected, child)
        if scorer is None or began is None:
            return Backlog(expected, counted.rate, None, None)
        spent = cost(began, scorer.course(expected))
        stored = (workplace.store_bytes_in() - received) / expected
        return Backlog(expected, counted.rate, spent, _bytes(workplace.cluster, ground, stored))
    finally:
        consumer.close()
        workplace.end(child, kill=scorer is None)
        workplace.clear(ground)


def _bytes(cluster: Cluster, ground: Ground, stored: float) -> Bytes:
    """From the first records of each topic."""
    return Bytes(
        _mean_bytes(cluster, ground.source),
        _mean_bytes(cluster, ground.target),
        _mean_bytes(cluster, ground.scored, lambda value: len(scored_record.decode(value).ids)),
        stored,
    )


def _mean_bytes(cluster: Cluster, topic: str, rows: Callable[[bytes], int] = lambda value: 1) -> float:
    """Bytes of key, value and headers by transaction; ``rows`` says how many a value carries."""
    consumer = cluster.reader(topic)
    try:
        found = usable(consumer.consume(SAMPLE, SAMPLE_S))
    finally:
        consumer.close()
    size = sum(
        len(message.key() or b"")
        + len(message.value() or b"")
        + sum(len(name) + len(value) for name, value in message.headers() or ())
        for message in found
    )
    return size / max(1, sum(rows(message.value() or b"") for message in found))
