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
from pipeline.core.card_note import unpack_note
from pipeline.core.profile_row import NUMBERS
from pipeline.roles.scorer.beside import rows_and_others

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

CARDS = 150
PAYMENTS = 3
BOUND_S = 60.0
TELLING = (
    "cardwatch_consumer_lag",
    "cardwatch_moved",
    "cardwatch_unsaved",
    "cardwatch_dead",
    "cardwatch_checkpoints_failed",
)


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


Ends = dict[str, dict[int, int]]


def ends_of_logs(installation: Installation) -> Ends:
    """First offset after the last record, by topic and partition."""
    ends: Ends = {}
    for topic in ("transactions", "card-events", "moved-rows"):
        ends[topic] = dict.fromkeys(range(installation.partitions), 0)
        for record in installation.outside.read(topic):
            ends[topic][record.partition] = record.offset + 1
    return ends


def stored_places(installation: Installation) -> Ends:
    """The same, by how far the store says that they are done with."""
    stored: Ends = {"transactions": {}, "card-events": {}, "moved-rows": {}}
    for number in range(installation.partitions):
        key = f"{installation.prefix}profiles:{{{number}}}"
        places = json.loads(installation.redis.hget(f"{key}:rows", "@places") or b"{}")
        stored["transactions"][number] = int(installation.redis.hget(f"{key}:owner", "next") or 0)
        for topic in ("card-events", "moved-rows"):
            stored[topic][number] = places.get(topic, 0)
    return stored


def state(installation: Installation) -> str:
    """What a red run has to say: which partition of which topic is not done with, whose history is missing or twice, and
    what the workers say, or that they don't answer."""
    lines = ["", f"logs end at {ends_of_logs(installation)}", f"done with  {stored_places(installation)}"]
    rows, others = rows_and_others(installation.stored_rows())
    for number in range(CARDS):
        found = [attempts(rows.get(card(series, number).encode())) for series in "abc"]
        if found[2] != expected(number):
            notes = [unpack_note(others.get(b"@note:" + card(series, number).encode())) for series in "abc"]
            lines.append(f"{number}: a, b, c made {found}, c should have {expected(number)}; {notes}")
    for name in installation.children:
        try:
            told = [line for line in installation.metrics(name).splitlines() if line.startswith(TELLING)]
        except OSError as error:
            told = [f"no answer: {error!r}"]
        log = (installation.directory / f"{name}.log").read_text().splitlines()[-30:]
        lines += [f"--- {name}", *told, *log]
    return "\n".join(lines)


def expected(number: int) -> int:
    """The transactions that card c holds in the end: three of a, perhaps one of b and one of its own."""
    return PAYMENTS + (number % 3 == 0) + (number % 4 == 0)


def test_each_history_moves_once_though_workers_are_killed(installation: Installation) -> None:
    for name in ("scorer-0", "scorer-1"):
        installation.launch("scorer", name)
    for name in ("scorer-0", "scorer-1"):
        installation.wait_until_ready(name)
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
    while stored_places(installation) != ends_of_logs(installation):
        assert time.monotonic() < deadline, state(installation)
        time.sleep(0.2)
    rows, _ = rows_and_others(installation.stored_rows())
    wrong = [n for n in range(CARDS) if attempts(rows.get(card("c", n).encode())) != expected(n)]
    assert not wrong, state(installation)
    alone = rows_of_an_uninterrupted_run(installation.outside.read("transactions"), installation.partitions)
    for number in range(CARDS):
        old = card("a", number).encode()
        assert rows[old] == alone[old], "the old card's row is its own"
    assert {partition_of(key, installation.partitions) for key in rows} == set(range(installation.partitions))
