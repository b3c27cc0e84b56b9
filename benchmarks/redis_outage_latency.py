"""What a Redis outage does to the decisions' latency: the same traffic with Redis there and with Redis killed.

    python benchmarks/redis_outage_latency.py LIBS [PAIRS [SECONDS]]

LIBS is a directory of Kafka's jars (`.ci/install-kafka.sh LIBS`). 200 transactions a second on 20,000 cards; in each
pair SECONDS with Redis and SECONDS without, which comes first alternates. A latency runs from handing a transaction to
librdkafka until an outside consumer (librdkafka too) has its decision. Prints every pair, the medians over the pairs,
their ratios, and how many decisions were missing. Exit code 1: a decision is missing, or a ratio is above its limit.
"""

import itertools
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from installation import Installation
from outside import payment
from servers import ApacheKafka, RedisServer

RATE = 200.0
CARDS = 20_000
WARM_S = 20.0
"""A broker just started spends a core on compiling itself, and every latency shows it."""
LATE_S = 30.0
P50_LIMIT, P99_LIMIT = 1.1, 1.5


class Measured(NamedTuple):
    """Latencies of one stretch of traffic, milliseconds, and how many decisions did not come."""

    p50: float
    p99: float
    missing: int


class Decisions(threading.Thread):
    """Notes when the first decision of each transaction arrives outside."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        super().__init__(name="decisions")
        self.seen: dict[bytes, float] = {}
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "latency",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in range(partitions)])

    def run(self) -> None:
        while not self._ended.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                now = time.perf_counter()
                name = (message.value() or b"").partition(b'"id":"')[2].partition(b'"')[0]
                self.seen.setdefault(name, now)
        self._consumer.close()

    def finish(self) -> None:
        self._ended.set()
        self.join()


class Line:
    """Traffic in, decisions out, on one installation."""

    def __init__(self, installation: Installation, decisions: Decisions) -> None:
        self._installation = installation
        self._decisions = decisions
        self._stretches = itertools.count()

    def measure(self, seconds: float) -> Measured:
        name, sent = f"s{next(self._stretches)}", {}
        start = time.perf_counter()
        for number in range(int(seconds * RATE)):
            time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            card = f"tok_l_{random.randrange(CARDS):024x}"
            message = payment(f"{name}-{number}", "tok_o", CARDS, number, time.time()) | {"card": card}
            sent[f"{name}-{number}".encode()] = time.perf_counter()
            self._installation.outside.produce_json("transactions", card, message)
        self._installation.outside.flush()
        deadline = time.monotonic() + LATE_S
        while (missing := len(sent.keys() - self._decisions.seen.keys())) and time.monotonic() < deadline:
            time.sleep(0.05)
        found = sorted(self._decisions.seen[one] - at for one, at in sent.items() if one in self._decisions.seen)
        self._decisions.seen.clear()
        return Measured(statistics.median(found) * 1000, found[int(len(found) * 0.99)] * 1000, missing)

    def measure_without(self, redis: RedisServer, seconds: float) -> Measured:
        """Redis is killed, the traffic runs, Redis comes back, and what waited is saved."""
        redis.kill()
        measured = self.measure(seconds)
        redis.start()
        self._installation.wait_until_saved()
        return measured


@contextmanager
def line(libs: Path) -> Iterator[tuple[Line, RedisServer]]:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory) / "work"
        work.mkdir()
        kafka, redis = ApacheKafka(Path(directory) / "kafka", libs), RedisServer(Path(directory) / "redis")
        installation = decisions = None
        try:
            kafka.start()
            redis.start()
            installation = Installation(work, kafka.bootstrap, redis.url)
            installation.start("scorer")
            decisions = Decisions(kafka.bootstrap, f"{installation.prefix}decisions", installation.partitions)
            decisions.start()
            yield Line(installation, decisions), redis
        finally:
            if decisions is not None:
                decisions.finish()
            if installation is not None:
                installation.close()
            redis.stop()
            kafka.stop()


def main(libs: Path, pairs: int, seconds: float) -> int:
    found: dict[bool, list[Measured]] = {True: [], False: []}
    with line(libs) as (traffic, redis):
        traffic.measure(WARM_S)
        print("pair   with Redis p50 / p99 ms   without p50 / p99 ms   missing", flush=True)
        for pair in range(pairs):
            for there in (True, False) if pair % 2 == 0 else (False, True):
                found[there].append(traffic.measure(seconds) if there else traffic.measure_without(redis, seconds))
            with_, without = found[True][-1], found[False][-1]
            print(
                f"{pair + 1:4}   {with_.p50:10.2f} / {with_.p99:.2f}   {without.p50:16.2f} / {without.p99:.2f}   "
                f"{with_.missing + without.missing:7}",
                flush=True,
            )
    p50, p99 = (
        [statistics.median(getattr(one, name) for one in found[there]) for there in (True, False)]
        for name in ("p50", "p99")
    )
    missing = sum(one.missing for measured in found.values() for one in measured)
    print(f"medians of {pairs} pairs: p50 {p50[0]:.2f} → {p50[1]:.2f} ms, ratio {p50[1] / p50[0]:.2f} (≤ {P50_LIMIT})")
    print(f"                    p99 {p99[0]:.2f} → {p99[1]:.2f} ms, ratio {p99[1] / p99[0]:.2f} (≤ {P99_LIMIT})")
    print(f"decisions missing: {missing}")
    return int(missing > 0 or p50[1] > P50_LIMIT * p50[0] or p99[1] > P99_LIMIT * p99[0])


if __name__ == "__main__":
    numbers = sys.argv[2:]
    sys.exit(
        main(Path(sys.argv[1]), int(numbers[0]) if numbers else 7, float(numbers[1]) if len(numbers) > 1 else 30.0)
    )
