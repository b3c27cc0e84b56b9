"""The archive killed with -9 again and again while transactions flow, another taking over: each decided transaction is in
it exactly once, and the topics agree."""

import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from threading import Event, Thread

import pytest
from installation import Installation
from outside import first_of_each, payment
from servers import ApacheKafka, RedisServer

from pipeline.adapters.parquet_reading import ParquetArchive

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

RATE = 400.0
KILLS = 4
SEED = 20261123
WAIT_S = 60.0


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url)
    made.environment |= {"CARDWATCH_ARCHIVE_FILE_ROWS": "60", "CARDWATCH_ARCHIVE_FILE_SECONDS": "0.3"}
    yield made
    made.close()


def feed(installation: Installation, sent_ids: list[str], enough: Event) -> None:
    """Payments, among them some taken back, some unreadable, some sent again; every tenth has a label."""
    started = time.time()
    for number in itertools.count():
        if enough.is_set():
            break
        time.sleep(max(0.0, started + number / RATE - time.time()))
        sent_ids.append(f"a{number}")
        sent = payment(f"a{number}", "tok_a", 300, number, time.time())
        if number % 50 == 7:
            sent |= {"type": "reversal", "original_id": f"a{number - 1}"}
        card = str(sent["card"])
        installation.outside.produce_json("transactions", card, sent)
        if number % 70 == 9:
            installation.outside.produce("transactions", card.encode(), b"not JSON")
            installation.outside.produce_json("transactions", card, sent)
        if number % 10 == 0:
            label = {"transaction": sent["id"], "card": card, "fraud": False, "source": "analyst", "time": sent["time"]}
            installation.outside.produce_json("labels", card, label)
    installation.outside.flush()


def writer(installation: Installation, names: Sequence[str]) -> str:
    """The process that writes, once it has written something."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for name in names:
            with suppress(OSError):
                said = re.search(
                    r'^cardwatch_archive_rows_total{kind="scored"} (.+)$', installation.metrics(name), re.M
                )
                if said is not None and float(said[1]) > 0:
                    return name
        time.sleep(0.05)
    raise AssertionError("nobody writes")


def archived(archive: ParquetArchive) -> list[tuple[int, int, str, bool]]:
    rows = archive.relation(date.min, date.max).project("source_partition, source_offset, id, raw IS NOT NULL")
    found: list[tuple[int, int, str, bool]] = rows.fetchall()
    return found


def test_killed_again_and_again_it_holds_each_transaction_once(installation: Installation) -> None:
    names = ("archive", "archive-2")
    for name in names:
        installation.launch("archive", name)
    installation.start("scorer")
    sent, enough = list[str](), Event()
    feeding = Thread(target=feed, args=(installation, sent, enough))
    feeding.start()
    drawn = random.Random(SEED)
    for _ in range(KILLS):
        killed = writer(installation, names)
        time.sleep(drawn.uniform(0.0, 0.6))
        installation.kill(killed)
        installation.launch("archive", killed)
    writer(installation, names)
    enough.set()
    feeding.join()
    decided, _ = first_of_each(installation.wait_for_decisions(len(sent)))
    labels = len(installation.outside.read("labels"))
    archive = ParquetArchive(installation.directory / "archive")
    deadline = time.monotonic() + WAIT_S
    while len(archived(archive)) < len(decided) or len(archive.labels_in_force(10**15)["card"]) < labels:
        assert time.monotonic() < deadline, f"{len(archived(archive))} of {len(decided)} transactions are archived"
        time.sleep(0.2)

    rows = archived(archive)
    offsets = Counter((partition, offset) for partition, offset, _, _ in rows)
    assert max(offsets.values()) == 1, "a transaction is archived twice"
    expected = {(record.partition, int(record.headers["source_offset"])): record.json()["id"] for record in decided}
    assert {(partition, offset): name for partition, offset, name, _ in rows} == expected
    without = {name for _, _, name, scored in rows if not scored}
    assert without == set(sent[7::50])
    told = sorted(record.json()["transaction"] for record in installation.outside.read("labels"))
    assert sorted(archive.labels_in_force(10**15)["transaction"]) == told
    files = len(list((installation.directory / "archive").rglob("*.parquet")))
    print(f"{KILLS} kills: {len(rows)} transactions and {labels} labels once each, in {files} files")
