"""How long a decision takes when transactions keep coming at a steady rate, whatever the program does (open loop).

A wait counts from the moment a transaction was *due*, not from when it was sent: a program that stalls delays its
senders too, and a clock that began with the sending would hide that.
"""

import itertools
import time
from array import array
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from pipeline.lab.bench.backlog import count
from pipeline.lab.bench.failed import BenchFailed
from pipeline.lab.bench.figures import Latency, latency
from pipeline.lab.bench.kafka import FLUSH_S, Receiver, preload
from pipeline.lab.bench.process import Cost, cost
from pipeline.lab.bench.stream import SERIES, Stream, number_of
from pipeline.lab.bench.workplace import Workplace

SETTLE_SHARE, SETTLE_S = 0.2, 10.0
"""The first share of a run, at most so many seconds of it, is not counted."""
RATE_SERIES = 10**6
LAST_WAIT_S = 10.0
LOOK_S = 0.05


class Rate(msgspec.Struct, frozen=True):
    """One program at one rate in one round."""

    rate: float
    latency: Latency
    cost: Cost | None


class Clocked(Protocol):
    """Is told when the first transaction was due, on the performance counter."""

    began: float


class Waits:
    """Notes when the decisions of the transactions from ``first`` on came. The k-th is due ``k / rate`` seconds after
    the start."""

    def __init__(self, first: int, number: int, rate: float) -> None:
        self.began = 0.0
        self.got = 0
        self._first, self._rate = first, rate
        self._waits = array("d", bytes(8 * number))  # 0 while a decision is missing
        self._arrivals = array("d")

    def took(self, partition: int, value: bytes, moment: float) -> None:
        place = number_of(value) - self._first
        if 0 <= place < len(self._waits) and not self._waits[place]:
            self._waits[place] = moment - (self.began + place / self._rate)
            self._arrivals.append(moment)
            self.got += 1

    def wait(self, longest_s: float = LAST_WAIT_S) -> None:
        """Until all are there, or nothing more is to be expected."""
        deadline = time.perf_counter() + longest_s
        while self.got < len(self._waits) and time.perf_counter() < deadline:
            time.sleep(LOOK_S)

    def figures(self, settled: int) -> Latency:
        """Of the transactions from place ``settled`` on."""
        waits = [wait for wait in self._waits[settled:] if wait]
        since = self.began + settled / self._rate
        moments = [since, *(moment for moment in self._arrivals if moment >= since)]
        stall = max((after - before for before, after in itertools.pairwise(moments)), default=0.0)
        return latency(waits, stall, len(self._waits) - settled)


def measure(workplace: Workplace, program: str) -> list[Rate]:
    """One run of ``program``: a small backlog to warm it, then each rate in turn."""
    sizes = workplace.options.sizes
    ground = workplace.ground(program)
    stream = Stream(sizes.stream_cards)
    preload(workplace.producer, ground.source, stream, range(sizes.warm))
    child, scorer = workplace.program(program, ground)
    consumer = workplace.cluster.reader(ground.target)
    try:
        done: float = count(consumer, sizes.warm, child).n
        found: list[Rate] = []
        for rate in workplace.options.rates:
            before = scorer.course(done) if scorer else None
            number = max(1, round(rate * sizes.seconds))
            first = SERIES + len(found) * SERIES + round(rate) * RATE_SERIES
            waits = Waits(first, number, rate)
            with Receiver(consumer, waits):
                send(workplace, ground.source, stream, waits, first, number, rate)
                waits.wait()
            if child.exit_code is not None or not waits.got:
                raise BenchFailed(f"{program} decided {waits.got} of {number}; its log ends:\n{child.tail()}")
            done += waits.got
            spent = cost(before, scorer.course(done)) if scorer and before else None
            found.append(Rate(rate, waits.figures(int(min(SETTLE_SHARE * number, SETTLE_S * rate))), spent))
        return found
    finally:
        consumer.close()
        workplace.end(child, kill=scorer is None)
        workplace.clear(ground)


def send(
    workplace: Workplace,
    topic: str,
    stream: Stream,
    waits: Clocked,
    first: int,
    number: int,
    rate: float,
    meanwhile: Mapping[int, Callable[[], None]] | None = None,
) -> None:
    """Send ``number`` transactions, each when it is due, late ones at once; before the k-th do ``meanwhile[k]``."""
    producer = workplace.producer
    waits.began = began = time.perf_counter()
    for place in range(number):
        early = began + place / rate - time.perf_counter()
        if early > 0:
            time.sleep(early)
        if meanwhile and place in meanwhile:
            meanwhile[place]()
        producer.produce(topic, stream.value(first + place), key=stream.key(first + place))
        producer.poll(0)
    if producer.flush(FLUSH_S):
        raise BenchFailed("Kafka did not acknowledge all transactions")
