"""A scorer under steady traffic through an outage: what is sent, what is watched meanwhile, and what is told of it."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)
from installation import Installation, rows_of_an_uninterrupted_run
from outside import Outside, Read, first_of_each, payment

from pipeline.embedded.process import Child

CARDS = 300
LOOK_S = 0.02
SCRAPE_S = 0.25
ASK_S = 5.0
RECOVERY_S = 120.0
"""So long is waited for a recovery; the time it took is told."""
SERIES = (
    "checkpoint_age_seconds", "unsaved_profiles", "checkpoints_failed_total", "broker_silent_seconds",
    "consumer_lag", "dead_letters_total",
)  # fmt: skip
UNANSWERED = "up"
"""Prometheus' own series: 0 where a scrape was not answered. `Watch` counts those."""


class Traffic(threading.Thread):
    """Sends transactions named ``name`` at a steady rate until `finish`."""

    def __init__(self, outside: Outside, name: str, rate: float) -> None:
        super().__init__(name=f"traffic-{name}")
        self.outside = outside
        self.sent = 0
        self._name = name
        self._rate = rate
        self._ended = threading.Event()

    def run(self) -> None:
        start = time.time()
        while not self._ended.wait(max(0.0, start + self.sent / self._rate - time.time())):
            message = payment(f"{self._name}-{self.sent}", "tok_o", CARDS, self.sent, time.time())
            self.outside.produce_json("transactions", str(message["card"]), message)
            self.sent += 1
        self.outside.flush()

    def finish(self) -> int:
        """Send what is still queued; answer how many transactions there were."""
        self._ended.set()
        self.join()
        return self.sent


def log_lines(child: Child) -> int:
    return len(child.log_file.read_bytes().splitlines())


def memory_mb(pid: int, what: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the most so far) of a process."""
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, what
    return int(found[1]) / 1024


class Watch(threading.Thread):
    """Asks a scorer's metrics all along and keeps the highest value of each of `SERIES`; a scorer that ended is started
    again, as a supervisor would, and counted."""

    def __init__(self, installation: Installation, scorer: str) -> None:
        super().__init__(name="watch")
        self.most: Counter[str] = Counter()
        self.restarts = 0
        self._installation = installation
        self._scorer = scorer
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SCRAPE_S):
            if self._installation.children[self._scorer].exit_code is not None:
                self.restarts += 1
                self._installation.launch("scorer", self._scorer)
            try:
                text = self._installation.metrics(self._scorer)
            except OSError:
                self.most[UNANSWERED] += 1
                continue
            for name in SERIES:
                values = re.findall(rf"^cardwatch_{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
                self.most[name] = max(self.most[name], sum(map(float, values)))  # type: ignore[assignment]  # a Counter of figures, not of counts

    def finish(self) -> None:
        self._ended.set()
        self.join()


@dataclass
class Told:
    """What is told of one outage. Seconds and megabytes; ``waited_s``: the longest from a transaction's Kafka timestamp
    to its decision's, of those sent since the outage began."""

    name: str
    behaviour: str
    metric: str
    away_s: float = 0.0
    sent: int = 0
    lost: int = 0
    doubled: int = 0
    repeats: int = 0
    restarts: int = 0
    recovery_s: float = 0.0
    waited_s: float = 0.0
    before_mb: float = 0.0
    peak_mb: float = 0.0
    log_lines: int = 0
    most: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        return (
            f"| {self.name} ({self.away_s:.1f} s) | {self.behaviour} | {self.sent} | {self.lost} | {self.doubled} | "
            f"{self.repeats} | {self.recovery_s:.2f} | {self.waited_s:.2f} | {self.peak_mb:.0f} "
            f"(+{self.peak_mb - self.before_mb:.0f}) | {self.log_lines} | {self.metric} {self.shown()} |"
        )

    def shown(self) -> str:
        """What the metric that tells of the outage came to."""
        return "0" if self.metric == UNANSWERED else f"{self.most[self.metric]:.3g}"


HEADER = (
    "| outage | behaviour | transactions | lost | doubled | repeats | recovery s | longest wait s | peak MB | log lines | "
    "metric |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def stamped_by_the_broker(bootstrap: str, topic: str) -> None:
    """From now on a record of ``topic`` carries the moment it was appended, not the one its producer began."""
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result()


def log_ends(bootstrap: str, installation: Installation) -> dict[int, int]:
    """Partition of `transactions` → the offset after its newest record. Waits for a broker that is not back yet."""
    topic = f"{installation.prefix}transactions"
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(installation.partitions)}
    deadline = time.monotonic() + RECOVERY_S
    while True:
        admin = AdminClient({"bootstrap.servers": bootstrap})  # one that saw the broker go may not see it come back
        try:
            found = admin.list_offsets(asked, request_timeout=ASK_S)
            return {place.partition: answer.result().offset for place, answer in found.items()}
        except KafkaException:
            assert time.monotonic() < deadline, "the broker did not come back"
            time.sleep(LOOK_S)


def saved(installation: Installation) -> dict[int, int]:
    """Partition → the stored next offset."""
    return {
        number: int(installation.redis.hget(f"{installation.prefix}profiles:{{{number}}}:owner", "next") or 0)
        for number in range(installation.partitions)
    }


def wait_until_saved(installation: Installation, goal: dict[int, int]) -> None:
    """Wait until every transaction below ``goal`` is decided and saved: a checkpoint follows its decisions."""
    deadline = time.monotonic() + RECOVERY_S
    while any((stored := saved(installation))[number] < end for number, end in goal.items()):
        assert time.monotonic() < deadline, f"saved {stored}, and the log reached {goal} {RECOVERY_S} s ago"
        time.sleep(LOOK_S)


class Course:
    """One scorer on one installation. `through` sends it through an outage under traffic and checks what came out."""

    def __init__(self, installation: Installation, bootstrap: str, rate: float) -> None:
        self.installation = installation
        self.told: list[Told] = []
        self._rate = rate
        self._bootstrap = bootstrap
        stamped_by_the_broker(bootstrap, f"{installation.prefix}decisions")

    def _ends(self) -> dict[int, int]:
        return log_ends(self._bootstrap, self.installation)

    def through(self, told: Told, outage: Callable[[Traffic], object], before_s: float = 0.7) -> Told:
        """Traffic, then ``outage`` (returns when it is over), then the wait for recovery, then the outside's count."""
        installation = self.installation
        repeats_before = len(first_of_each(installation.outside.read("decisions"))[1])
        child = installation.children["scorer"]
        told.before_mb = memory_mb(child.pid, "VmRSS")
        lines_before = log_lines(child)
        Path(f"/proc/{child.pid}/clear_refs").write_text("5")  # the most so far begins again here
        watch = Watch(installation, "scorer")
        traffic = Traffic(installation.outside, told.name, self._rate)
        traffic.start()
        watch.start()
        try:
            time.sleep(before_s)
            wait_until_saved(installation, self._ends())
            began, since = time.monotonic(), time.time()
            outage(traffic)
            ended = time.monotonic()
            wait_until_saved(installation, self._ends())
            told.recovery_s = time.monotonic() - ended
            told.away_s = ended - began
            time.sleep(2 * SCRAPE_S)
        finally:
            told.sent = traffic.finish()
            watch.finish()
        wait_until_saved(installation, self._ends())
        child = installation.children["scorer"]
        told.peak_mb = memory_mb(child.pid, "VmHWM")
        told.restarts, told.most = watch.restarts, watch.most
        told.log_lines = log_lines(child) - lines_before
        self._count(told, repeats_before, since)
        self.told.append(told)
        print("\n" + told.line())
        return told

    def _count(self, told: Told, repeats_before: int, since: float) -> None:
        transactions = self.installation.outside.read("transactions")
        counted, repeats = first_of_each(self.installation.outside.read("decisions"))
        mine = f"{told.name}-"
        decided = Counter(decision["id"] for decision in map(Read.json, counted) if decision["id"].startswith(mine))
        told.lost = told.sent - len(decided)
        told.doubled = sum(count - 1 for count in decided.values())
        told.repeats = len(repeats) - repeats_before
        stamps = {(record.partition, record.offset): record.timestamp for record in transactions}
        places = [(record, stamps[record.partition, int(record.headers["source_offset"])]) for record in counted]
        told.waited_s = max(decided.timestamp - sent for decided, sent in places if sent >= since * 1000) / 1000
        expected = rows_of_an_uninterrupted_run(transactions, self.installation.partitions)
        assert self.installation.stored_rows() == expected, "rows differ from those of an uninterrupted run"
