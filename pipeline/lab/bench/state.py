"""What many cards cost: time until ready, memory, time per transaction, the store's longest command."""

import asyncio
import time

import msgspec

from pipeline.lab.bench.backlog import count
from pipeline.lab.bench.cards import fill, grown_rows
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import preload
from pipeline.lab.bench.options import OURS
from pipeline.lab.bench.process import Cost, cost, memory_bytes
from pipeline.lab.bench.store import Longest
from pipeline.lab.bench.stream import SERIES, Stream
from pipeline.lab.bench.takeover import Handover, measure_takeover
from pipeline.lab.bench.workplace import Ground, Scorer, Workplace

WARM_SHARE = 10
"""One in so many transactions is decided before the clock starts."""


class Resident(msgspec.Struct, frozen=True):
    """A scorer with ``cards`` card rows. ``ready_s`` from the start of its process; ``resident_bytes`` when ready,
    ``peak_bytes`` the most it ever had; ``same`` what transactions of the fewest cards cost, ``spread`` of all."""

    cards: int
    ready_s: float
    resident_bytes: int
    peak_bytes: int
    same: Cost
    spread: Cost
    longest: Longest


class State(msgspec.Struct, frozen=True):
    """One round."""

    row_bytes: float
    few: Resident
    many: Resident
    card_bytes: float
    killed: Handover
    asked: Handover


def measure(workplace: Workplace) -> State:
    """Few cards, many cards, then two workers of which one is killed and one is asked to stop."""
    sizes = workplace.options.sizes
    rows = grown_rows(workplace.known.versions)
    few = _resident(workplace, sizes.few_cards, rows)
    many = _resident(workplace, sizes.many_cards, rows)
    killed, asked = measure_takeover(workplace, rows)
    return State(
        row_bytes=sum(map(len, rows)) / len(rows),
        few=few,
        many=many,
        card_bytes=(many.resident_bytes - few.resident_bytes) / (many.cards - few.cards),
        killed=killed,
        asked=asked,
    )


def _resident(workplace: Workplace, cards: int, rows: list[bytes]) -> Resident:
    sizes = workplace.options.sizes
    ground = workplace.ground(OURS)
    fill(workplace.store.url, ground.prefix, cards, rows)
    threshold = asyncio.run(workplace.store.watch())
    started = time.perf_counter()
    scorer = workplace.scorer(ground)
    try:
        scorer.wait_until_ready()
        ready_s = time.perf_counter() - started
        resident, peak = memory_bytes(scorer.child.pid), memory_bytes(scorer.child.pid, "VmHWM")
        same = _spend(workplace, ground, scorer, Stream(sizes.few_cards), SERIES)
        spread = _spend(workplace, ground, scorer, Stream(cards), 2 * SERIES)
    finally:
        longest = asyncio.run(workplace.store.longest(threshold))
        workplace.end(scorer.child)
        workplace.clear(ground)
    return Resident(cards, ready_s, resident, peak, same, spread, longest)


def _spend(workplace: Workplace, ground: Ground, scorer: Scorer, stream: Stream, first: int) -> Cost:
    """What ``stream`` costs from transaction ``first`` on, sent as fast as can be."""
    number = workplace.options.sizes.state_transactions
    warm = number // WARM_SHARE
    consumer = workplace.cluster.reader(ground.target)
    try:
        done = round(scorer.course().transactions)
        preload(workplace.producer, ground.source, stream, range(first, first + warm))
        count(consumer, done + warm, scorer.child)
        before = scorer.course()
        preload(workplace.producer, ground.source, stream, range(first + warm, first + warm + number))
        count(consumer, number, scorer.child)
        spent = cost(before, scorer.course())
    finally:
        consumer.close()
    if spent is None:
        raise BenchFailed("the scorer counted no transaction")
    return spent
