"""What many cards cost: time until ready, memory, time per transaction, the store's longest command."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pipeline.adapters.kafka.worker import SESSION_S
from pipeline.lab.bench.backlog import count
from pipeline.lab.bench.cards import QUIET_S, fill, grown_rows
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import preload, put
from pipeline.lab.bench.options import OURS
from pipeline.lab.bench.process import Cost, cost, memory_bytes
from pipeline.lab.bench.store import Longest
from pipeline.lab.bench.stream import SERIES, Stream
from pipeline.lab.bench.takeover import Takeover, measure_takeover
from pipeline.lab.bench.workplace import Ground, Scorer, Workplace

WARM_SHARE = 10
"""One in so many transactions is decided before the clock starts."""
HELD_S = SESSION_S - 2
"""A scorer that is held longer may have missed so many heartbeats that its group goes on without it."""


class Work(msgspec.Struct, frozen=True):
    """What transactions that wait cost. ``rate`` decisions a second between the first that came and the last."""

    cost: Cost
    rate: float


class Resident(msgspec.Struct, frozen=True):
    """A scorer with ``cards`` card rows. ``ready_s`` from the start of its process; ``resident_bytes`` when ready,
    ``peak_bytes`` the most it ever had; ``same`` what transactions of the fewest cards cost, ``spread`` of all."""

    cards: int
    ready_s: float
    resident_bytes: int
    peak_bytes: int
    same: Work
    spread: Work
    longest: Longest


class State(msgspec.Struct, frozen=True):
    """One round."""

    row_bytes: float
    few: Resident
    many: Resident
    card_bytes: float
    handover: Takeover
    many_handover: Takeover | None


def measure(workplace: Workplace) -> State:
    """Few cards, many cards, then two workers of which one is killed and one is asked to stop."""
    sizes = workplace.options.sizes
    rows = grown_rows(workplace.known.versions)
    few = _resident(workplace, sizes.few_cards, rows)
    many = _resident(workplace, sizes.many_cards, rows)
    handover = measure_takeover(workplace, rows, sizes.takeover_cards)
    many_handover = measure_takeover(workplace, rows, sizes.many_cards) if sizes.many_takeover else None
    return State(
        row_bytes=sum(map(len, rows)) / len(rows),
        few=few,
        many=many,
        card_bytes=(many.resident_bytes - few.resident_bytes) / (many.cards - few.cards),
        handover=handover,
        many_handover=many_handover,
    )


def _resident(workplace: Workplace, cards: int, rows: list[bytes]) -> Resident:
    sizes = workplace.options.sizes
    ground = workplace.ground(OURS)
    fill(workplace.store.url, ground.prefix, cards, rows)
    asyncio.run(workplace.store.wait_until_quiet())
    settings = asyncio.run(workplace.store.watch())
    started = time.perf_counter()
    scorer = workplace.scorer(ground)
    try:
        scorer.wait_until_ready()
        ready_s = time.perf_counter() - started
        resident, peak = memory_bytes(scorer.child.pid), memory_bytes(scorer.child.pid, "VmHWM")
        now = time.time()
        same = _work(workplace, ground, scorer, sizes.few_cards, SERIES, now - QUIET_S / 2)
        spread = _work(workplace, ground, scorer, cards, 2 * SERIES, now)
    finally:
        longest = asyncio.run(workplace.store.longest(settings))
        workplace.end(scorer.child)
        workplace.clear(ground)
    return Resident(cards, ready_s, resident, peak, same, spread, longest)


def _work(workplace: Workplace, ground: Ground, scorer: Scorer, cards: int, first: int, newest: float) -> Work:
    """What transactions of ``cards`` cards cost, from number ``first`` on. All that is measured waits before the first
    of it is read: polls are of one size however many cards there are, and so can be compared."""
    number = workplace.options.sizes.state_transactions
    warm = number // WARM_SHARE
    stream = Stream(cards, newest, steps=(warm + number) // cards)
    consumer = workplace.cluster.reader(ground.target)
    try:
        done = round(scorer.course().transactions)
        preload(workplace.producer, ground.source, stream, range(first, first + warm))
        count(consumer, done + warm, scorer.child)
        measured = range(first + warm, first + warm + number)
        records = [(stream.key(place), stream.value(place)) for place in measured]
        before = scorer.course(done + warm)
        with _held(scorer):
            put(workplace.producer, ground.source, records)
        counted = count(consumer, number, scorer.child)
        spent = cost(before, scorer.course(before.transactions + number))
    finally:
        consumer.close()
    if spent is None:
        raise BenchFailed("the scorer counted no transaction")
    return Work(spent, counted.rate)


@contextmanager
def _held(scorer: Scorer) -> Iterator[None]:
    """Nothing runs in the scorer. Raises BenchFailed when that took so long that it may have lost its partitions."""
    began = time.monotonic()
    os.kill(scorer.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(scorer.child.pid, signal.SIGCONT)
    if time.monotonic() - began > HELD_S:
        raise BenchFailed(f"Kafka took more than {HELD_S:g} s for what the scorer was to find waiting")
