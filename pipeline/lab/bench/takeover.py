"""How long decisions stay away when one of two workers is killed, and when one is asked to stop."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pipeline.lab.bench.cards import fill
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.kafka import PARTITIONS, Receiver
from pipeline.lab.bench.latency import send
from pipeline.lab.bench.options import OURS
from pipeline.lab.bench.process import get, series
from pipeline.lab.bench.stream import SERIES, Stream, number_of
from pipeline.lab.bench.workplace import READY_S, Ground, Scorer, Workplace

RATE = 200.0
BEFORE_S = 2.0
"""The stream runs so long before the worker goes."""
LOOK_S = 0.1
LAST_WAIT_S = 20.0


class Handover(msgspec.Struct, frozen=True):
    """``first_s``: from the signal until each partition had a decision on a transaction that was due after it (the
    last partition counts). ``longest_s``: the longest any such transaction waited. ``missing``: how many got none
    while we looked."""

    first_s: float
    longest_s: float
    missing: int


class Takeover(msgspec.Struct, frozen=True):
    """Two workers with ``cards`` cards between them: one is killed, one is asked to stop."""

    cards: int
    killed: Handover
    asked: Handover


class _Arrival(NamedTuple):
    place: int
    partition: int
    moment: float


class Arrivals:
    """Notes the first decision of each transaction."""

    def __init__(self, first: int) -> None:
        self.began = 0.0
        self._first = first
        self._seen: set[int] = set()
        self.found: list[_Arrival] = []

    def took(self, partition: int, value: bytes, moment: float) -> None:
        place = number_of(value) - self._first
        if place >= 0 and place not in self._seen:
            self._seen.add(place)
            self.found.append(_Arrival(place, partition, moment))

    def wait(self, number: int) -> None:
        """Until ``number`` transactions are decided, or nothing more is to be expected."""
        deadline = time.monotonic() + LAST_WAIT_S
        while len(self.found) < number and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def handover(self, place: int, number: int) -> Handover:
        """The signal came when the transaction at ``place`` of ``number`` was due. Raises BenchFailed when a partition
        has no decision after it."""
        signal = self.began + place / RATE
        after = [arrival for arrival in self.found if place <= arrival.place]
        first = [min(a.moment for a in after if a.partition == each) for each in {a.partition for a in after}]
        if len(first) < PARTITIONS:
            raise BenchFailed(f"decisions came back on {len(first)} of {PARTITIONS} partitions only")
        longest = max(arrival.moment - (self.began + arrival.place / RATE) for arrival in after)
        return Handover(max(first) - signal, longest, number - place - len(after))


def measure_takeover(workplace: Workplace, rows: list[bytes], cards: int) -> Takeover:
    """Killed (as kill -9 does), then asked to stop (SIGTERM)."""
    sizes = workplace.options.sizes
    ground = workplace.ground(OURS)
    fill(workplace.store.url, ground.prefix, cards, rows)
    asyncio.run(workplace.store.wait_until_quiet())
    workers = [workplace.scorer(ground), workplace.scorer(ground)]
    try:
        _wait_until_shared(workers, cards)
        lost = workers[0].child
        killed = _lose(workplace, ground, cards, 2 * SERIES, sizes.killed_s, lambda: workplace.end(lost, kill=True))
        workers[0] = workplace.scorer(ground)
        _wait_until_shared(workers, cards)
        asked = _lose(workplace, ground, cards, 3 * SERIES, sizes.asked_s, workers[0].child.ask_to_stop)
    finally:
        for worker in workers:
            workplace.end(worker.child)
        workplace.clear(ground)
    return Takeover(cards, killed, asked)


def _wait_until_shared(workers: list[Scorer], cards: int) -> None:
    """Until both are ready and all cards are resident, some with each."""
    deadline = time.monotonic() + READY_S
    while True:
        resident = [series(get(worker.port, "/metrics") or "", "cardwatch_resident_profiles") for worker in workers]
        if all(worker.ready() for worker in workers) and min(resident) > 0 and sum(resident) >= cards:
            return
        for worker in workers:
            if worker.child.exit_code is not None:
                raise BenchFailed(f"a scorer ended; its log ends:\n{worker.child.tail()}")
        if time.monotonic() > deadline:
            tails = "\n".join(worker.child.tail() for worker in workers)
            raise BenchFailed(
                f"two workers did not share the partitions in {READY_S:g} s: they have {resident} of {cards} cards; "
                f"their logs end:\n{tails}"
            )
        time.sleep(LOOK_S)


def _lose(
    workplace: Workplace, ground: Ground, cards: int, first: int, after_s: float, signal: Callable[[], None]
) -> Handover:
    """Give ``signal`` while transactions keep coming, and go on for ``after_s``."""
    place = round(BEFORE_S * RATE)
    number = place + round(after_s * RATE)
    arrivals = Arrivals(first)
    consumer = workplace.cluster.reader(ground.target)
    try:
        with Receiver(consumer, arrivals):
            send(workplace, ground.source, Stream(cards), arrivals, first, number, RATE, {place: signal})
            arrivals.wait(number)
        return arrivals.handover(place, number)
    finally:
        consumer.close()
