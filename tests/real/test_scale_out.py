"""Twelve partitions, one worker, four, and one again while payments come in; one of the four is killed meanwhile.

`make proof-scale` goes round six times at 500 transactions a second; CI once at 400, and leaves less time between. Of
these, one card alone makes 10,000 a minute. The oracle is outside: topics read by librdkafka, and the rows of a run
without any of this.
"""

import itertools
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from installation import Installation, rows_of_an_uninterrupted_run
from outside import Read, first_of_each
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

PARTITIONS = 12
ADDED = 3
"""Workers that one supervisor adds to the one that is there."""
RATE = float(os.environ.get("CARDWATCH_PROOF_RATE", "400"))
ROUNDS = int(os.environ.get("CARDWATCH_PROOF_ROUNDS", "1"))
HOT_RATE = 10_000 / 60
CARDS = 400
STEADY_S = float(os.environ.get("CARDWATCH_PROOF_STEADY_S", "1"))
"""Between what is done to the workers, so that each thing happens to workers at their ordinary work."""
WAIT_S = 60.0
UNASSIGNED_PORTS = (15_000, 30_000)
"""Below what systems give to outgoing connections (Linux from 32,768, IANA from 49,152)."""


class Moment(NamedTuple):
    """Something that was done to the workers."""

    name: str
    began: float
    ended: float


class Switch(threading.Thread):
    """Sends transactions at a steady rate until `finish`."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self._installation = installation
        self._over = threading.Event()
        self.sent = 0

    def run(self) -> None:
        started = time.time()
        hot = 0
        while not self._over.is_set():
            elapsed = time.time() - started
            while self.sent < elapsed * RATE:
                hot_is_due = hot < elapsed * HOT_RATE
                hot += hot_is_due
                one = payment(self.sent, time.time(), hot_is_due)
                self._installation.outside.produce_json("transactions", str(one["card"]), one)
                self.sent += 1
            self._over.wait(0.002)
        self._installation.outside.flush()

    def finish(self) -> int:
        """End; answers how many were sent."""
        self._over.set()
        self.join()
        return self.sent


def payment(number: int, moment: float, hot: bool) -> dict[str, object]:
    drawn = random.Random(number)
    return {
        "id": f"x{number}",
        "card": "tok_hot_00000001" if hot else f"tok_t_{drawn.randrange(CARDS):012x}",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
        "amount": drawn.randrange(100, 200_000),
        "currency": "CNY",
        "merchant": f"m{drawn.randrange(50)}",
        "mcc": "5411",
        "country": drawn.choice(["CN", "CN", "CN", "TH"]),
        "entry_mode": drawn.choice(["chip", "contactless", "ecommerce"]),
    }


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url, PARTITIONS)
    yield made
    made.close()


def consecutive_ports(count: int) -> int:
    """The first of ``count`` ports in a row that nobody uses now.

    None that the system gives to connections going out: asked before its worker listens, such a port may be given to
    the question itself, which is then its own answer (TCP's simultaneous open) and keeps the port from the worker.
    """
    for _ in range(100):
        first = random.SystemRandom().randrange(*UNASSIGNED_PORTS)
        if all(is_free(first + number) for number in range(count)):
            return first
    raise AssertionError(f"no {count} free ports in a row")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def workers_of(supervisor: int) -> dict[int, int]:
    """Worker's number → process, of the supervisor with this process id."""
    found: dict[int, int] = {}
    for word in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        try:
            words = Path(f"/proc/{word}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if b"--worker" in words:
            found[int(words[words.index(b"--worker") + 1])] = int(word)
    return found


def partitions_of(port: int) -> int:
    """How many partitions the worker at ``port`` has, once it is ready; -1 before."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            pass
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return sum(line.startswith(b"cardwatch_consumer_lag{") for line in answer)
    except (urllib.error.URLError, OSError):
        return -1


class Scaling:
    """One worker, and a supervisor with more of them that comes and goes."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._first = consecutive_ports(ADDED)
        installation.ports["added"] = self._first
        installation.start("scorer", "alone")
        self.moments: list[Moment] = []

    def _shared(self) -> bool:
        each = [partitions_of(port) for port in range(self._first, self._first + ADDED)]
        each.append(partitions_of(self._installation.ports["alone"]))
        return each == [PARTITIONS // (ADDED + 1)] * (ADDED + 1)

    def out(self) -> None:
        began = time.time()
        self._installation.launch("scorer", "added", words=["--workers", str(ADDED)])
        until(self._shared, "the partitions are not shared by all workers")
        self.moments.append(Moment("1 → 4", began, time.time()))

    def kill_one(self) -> None:
        supervisor = self._installation.children["added"].pid
        victim = workers_of(supervisor)[1]
        began = time.time()
        os.kill(victim, signal.SIGKILL)
        until(lambda: workers_of(supervisor).get(1, victim) != victim, "a killed worker was not started again")
        until(self._shared, "the killed worker has not got its share again")
        self.moments.append(Moment("kill -9", began, time.time()))

    def back_in(self, number: int) -> None:
        child = self._installation.children.pop("added")
        processes = [child.pid, *workers_of(child.pid).values()]
        assert len(processes) == ADDED + 1
        began = time.time()
        os.kill(child.pid, number)
        until(lambda: child.exit_code is not None, "the supervisor has not ended")
        ended = time.time()
        assert child.exit_code == 0
        assert not [pid for pid in processes[1:] if Path(f"/proc/{pid}").exists()], "a worker outlived its supervisor"
        until(lambda: partitions_of(self._installation.ports["alone"]) == PARTITIONS, "not all partitions came back")
        print(f"{signal.Signals(number).name}: supervisor and {ADDED} workers gone after {ended - began:.2f} s")
        self.moments.append(Moment("4 → 1", began, time.time()))


def test_workers_come_and_go_under_load_and_no_decision_is_lost_or_doubled(installation: Installation) -> None:
    scaling = Scaling(installation)
    switch = Switch(installation)
    switch.start()
    time.sleep(STEADY_S)
    for number in range(ROUNDS):
        scaling.out()
        time.sleep(STEADY_S)
        scaling.kill_one()
        time.sleep(STEADY_S)
        scaling.back_in((signal.SIGTERM, signal.SIGINT)[number % 2])
        time.sleep(STEADY_S)
    sent = switch.finish()
    installation.wait_for_decisions(sent)

    counted, repeats = first_of_each(installation.outside.read("decisions"))
    ids = Counter(record.json()["id"] for record in counted)
    assert len(ids) == sent
    assert set(ids.values()) == {1}, "a transaction has more than one decision that counts"
    installation.wait_until_saved()
    transactions = installation.outside.read("transactions")
    assert installation.stored_rows() == rows_of_an_uninterrupted_run(transactions, PARTITIONS)
    print(f"{sent} transactions at {RATE:g}/s, {len(repeats)} decisions written again")
    for moment in scaling.moments:
        print(account(moment, counted))
    told = installation.logs[-1].read_text()
    assert all(f"worker={number}" in told for number in range(ADDED)), "a worker's lines do not tell which it is"


def account(moment: Moment, decisions: list[Read]) -> str:
    """How long decisions kept the switch waiting around ``moment``: the longest wait of a transaction, and the longest
    time in which no partition got a decision."""
    window = [
        (record.timestamp / 1000, record.timestamp / 1000 - int(record.headers["source_timestamp"]) / 1000)
        for record in decisions
        if moment.began <= record.timestamp / 1000 <= moment.ended + STEADY_S
    ]
    waits = sorted(wait for _, wait in window)
    times = sorted(decided for decided, _ in window)
    gap = max(after - before for before, after in itertools.pairwise(times))
    late = sum(wait > 1.0 for wait in waits)
    return (
        f"{moment.name}: over after {moment.ended - moment.began:.1f} s; longest wait of a transaction {waits[-1]:.2f} s "
        f"(median {waits[len(waits) // 2] * 1000:.0f} ms), {late} of {len(waits)} later than 1 s; "
        f"longest time without any decision {gap:.2f} s"
    )
