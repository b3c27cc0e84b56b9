"""Cards are replaced while workers are killed: each history reaches the new card's row once, on Apache Kafka and Redis."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, rows_of_an_uninterrupted_run
from outside import payment
from servers import ApacheKafka, RedisServer

from pipeline.adapters.kafka.log import partition_of
from pipeline.core.profile_row import NUMBERS
from pipeline.roles.scorer.beside import rows_and_others

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

CARDS = 150
PAYMENTS = 3
BOUND_S = 90.0


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    yield made
    made.close()


def card(series: str, number: int) -> str:
    return f"tok_{series}_{number:024x}"


def pay(installation: Installation, series: str, number: int, previous: str | None = None) -> None:
    sent = payment(f"{series}{number}-{time.time_ns()}", "tok_t", CARDS, number, time.time()) | {
        "card": card(series, number)
    }
    if previous is not None:
        sent["previous_card"] = card(previous, number)
    installation.outside.produce_json("transactions", card(series, number), sent)


def replace(installation: Installation, number: int, old: str, new: str) -> None:
    event = {
        "card": card(old, number),
        "type": "replaced",
        "new_card": card(new, number),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    installation.outside.produce_json("card-events", card(old, number), event)


def attempts(row: bytes | None) -> int:
    return 0 if row is None else int(NUMBERS.unpack_from(row)[1])


def all_read(installation: Installation) -> bool:
    """Whether the store has the last position of both topics that speak of cards."""
    for topic in ("card-events", "moved-rows"):
        ends = dict.fromkeys(range(installation.partitions), 0)
        for record in installation.outside.read(topic):
            ends[record.partition] = record.offset + 1
        for number, end in ends.items():
            key = f"{installation.prefix}profiles:{{{number}}}:rows"
            places = json.loads(installation.redis.hget(key, "@places") or b"{}")
            if places.get(topic, 0) != end:
                return False
    return True


def test_each_history_moves_once_though_workers_are_killed(installation: Installation) -> None:
    names = ("scorer-0", "scorer-1")
    for name in names:
        installation.start("scorer", name)
    for number in range(PAYMENTS * CARDS):
        pay(installation, "a", number % CARDS)
    installation.outside.flush()
    installation.wait_for_decisions(PAYMENTS * CARDS)
    for number in range(CARDS):
        if number == CARDS // 3:
            installation.kill("scorer-0")
            installation.launch("scorer", "scorer-0")
        if number % 3:
            replace(installation, number, "a", "b")
            replace(installation, number, "b", "c")
        else:
            pay(installation, "b", number, previous="a")
            replace(installation, number, "b", "c")
        if number % 4 == 0:
            pay(installation, "c", number)
        if number % 5 == 0:
            replace(installation, number, "a", "b")
        installation.outside.flush()
        time.sleep(0.005)
    installation.kill("scorer-1")
    installation.launch("scorer", "scorer-1")

    deadline = time.monotonic() + BOUND_S
    while True:
        rows, _ = rows_and_others(installation.stored_rows())
        found = [attempts(rows.get(card("c", number).encode())) for number in range(CARDS)]
        expected = [PAYMENTS + (number % 3 == 0) + (number % 4 == 0) for number in range(CARDS)]
        if found == expected and all_read(installation):
            break
        assert time.monotonic() < deadline, [
            (number, is_, should)
            for number, (is_, should) in enumerate(zip(found, expected, strict=True))
            if is_ != should
        ]
        time.sleep(0.2)
    installation.wait_until_saved()
    rows, _ = rows_and_others(installation.stored_rows())
    assert [attempts(rows.get(card("c", number).encode())) for number in range(CARDS)] == expected, "and not twice"
    alone = rows_of_an_uninterrupted_run(installation.outside.read("transactions"), installation.partitions)
    for number in range(CARDS):
        old = card("a", number).encode()
        assert rows[old] == alone[old], "the old card's row is its own"
    assert {partition_of(key, installation.partitions) for key in rows} == set(range(installation.partitions))
