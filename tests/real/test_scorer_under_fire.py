"""One decision per transaction and the same rows to the byte, whatever happens to the workers."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, rows_of_an_uninterrupted_run
from outside import first_of_each, payment
from servers import ApacheKafka, RedisServer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

TRANSACTIONS = 4_000
CARDS = 300
RATE = 500.0
SESSION_S = 6.0


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    yield made
    made.close()


class Switch(threading.Thread):
    """Sends transactions at a steady rate from a thread of its own."""

    def __init__(self, installation: Installation, count: int) -> None:
        super().__init__()
        self._installation = installation
        self._count = count

    def run(self) -> None:
        start = time.time()
        for number in range(self._count):
            time.sleep(max(0.0, start + number / RATE - time.time()))
            sent = payment(f"x{number}", "tok_t", CARDS, number, time.time())
            self._installation.outside.produce_json("transactions", str(sent["card"]), sent)
        self._installation.outside.flush()


def assert_one_decision_each(installation: Installation, count: int) -> int:
    """Every transaction has exactly one decision that counts; answers the number of repeats."""
    counted, repeats = first_of_each(installation.outside.read("decisions"))
    ids = Counter(json.loads(record.value or b"")["id"] for record in counted)
    assert len(ids) == count
    assert set(ids.values()) == {1}
    return len(repeats)


def assert_rows_as_uninterrupted(installation: Installation) -> None:
    installation.wait_until_saved()
    expected = rows_of_an_uninterrupted_run(installation.outside.read("transactions"), installation.partitions)
    assert installation.stored_rows() == expected


def test_workers_killed_at_random_moments_lose_and_double_nothing(installation: Installation) -> None:
    for name in ("scorer-0", "scorer-1"):
        installation.start("scorer", name)
    switch = Switch(installation, TRANSACTIONS)
    switch.start()
    moments = random.Random(20261123)
    for name in ("scorer-0", "scorer-1"):
        time.sleep(moments.uniform(1.0, 3.0))
        installation.kill(name)
        installation.launch("scorer", name)
    switch.join()
    installation.wait_for_decisions(TRANSACTIONS)
    repeats = assert_one_decision_each(installation, TRANSACTIONS)
    print(f"{repeats} repeats after 2 kills")
    assert_rows_as_uninterrupted(installation)


def test_a_worker_frozen_past_its_session_and_woken_changes_nothing(installation: Installation) -> None:
    for name in ("scorer-0", "scorer-1"):
        installation.start("scorer", name)
    switch = Switch(installation, TRANSACTIONS)
    switch.start()
    time.sleep(1.5)
    installation.freeze("scorer-0")
    time.sleep(SESSION_S + 2.0)
    installation.wake("scorer-0")
    switch.join()
    installation.wait_for_decisions(TRANSACTIONS)
    assert_one_decision_each(installation, TRANSACTIONS)
    assert_rows_as_uninterrupted(installation)


def test_a_store_that_is_away_for_a_while_costs_no_decision(
    installation: Installation, redis_server: RedisServer
) -> None:
    installation.start("scorer")
    switch = Switch(installation, 2_000)
    switch.start()
    time.sleep(1.0)
    redis_server.kill()
    time.sleep(2.0)
    redis_server.start()
    switch.join()
    installation.wait_for_decisions(2_000)
    assert assert_one_decision_each(installation, 2_000) == 0
    assert_rows_as_uninterrupted(installation)
