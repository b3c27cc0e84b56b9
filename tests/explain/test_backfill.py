"""`cardwatch backfill`: history into profiles, the rows that scorers would have made, fenced and restartable."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from explain_world import CONFIG, MONEY, Past

from pipeline.adapters.kafka.log import partition_of
from pipeline.adapters.memory import MemoryProfiles
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.app.backfill import BackfillPlan, History
from pipeline.cli import main
from pipeline.core.counters import NO_COUNTERS
from pipeline.core.topics import TRANSACTIONS
from pipeline.embedded.store import EmbeddedStore
from pipeline.lab.backfill import BackfillRefused, Rebuilt, fill, rebuild
from pipeline.ports import Saved, StoreDown
from pipeline.roles.scorer.dormant import newest_events
from pipeline.roles.scorer.owned import own

PARTITIONS = 2
PLACES = {0: 7, 1: 0}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return Past(tmp_path_factory.mktemp("archive"), 300)


def made_of(plan: BackfillPlan) -> Rebuilt:
    pieces = History(plan).pieces()
    return rebuild(
        pieces, MONEY, NO_COUNTERS, PARTITIONS, lambda card: partition_of(card, PARTITIONS), lambda read: None
    )


@pytest.fixture(scope="module")
def from_archive(past: Past) -> Rebuilt:
    return made_of(BackfillPlan((), past.root, PARTITIONS))


def copy(rebuilt: Rebuilt) -> Rebuilt:
    return Rebuilt({number: dict(rows) for number, rows in rebuilt.rows.items()})


async def always() -> bool:
    return True


def test_the_archive_gives_the_very_rows_that_scorers_had(past: Past, from_archive: Rebuilt) -> None:
    assert from_archive.read == 300
    assert not from_archive.refused
    live = {number: past.traffic.rows(number) for number in range(PARTITIONS)}
    assert from_archive.rows == live
    assert all(live.values())


def test_a_file_of_the_same_transactions_gives_them_too(past: Past, from_archive: Rebuilt, tmp_path: Path) -> None:
    records = past.traffic.log.all(TRANSACTIONS)
    lines = sorted((json.loads(record.value or b"") for record in records), key=lambda message: message["time"])
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(map(json.dumps, [*lines, lines[0] | {"id": "late"}, lines[-1] | {"amount": -1}])))
    found = made_of(BackfillPlan((path,), None, PARTITIONS))
    assert found.rows == from_archive.rows
    assert found.refused == {"negative_amount": 1}


def test_scorers_begin_with_the_profiles_and_the_offset(from_archive: Rebuilt) -> None:
    store = MemoryProfiles()
    filled = asyncio.run(fill(store, copy(from_archive), PLACES))
    assert filled == ([0, 1], [])
    for number in range(PARTITIONS):
        owned = asyncio.run(own(store, number, None, always))
        assert owned.rows == from_archive.rows[number]
        assert owned.next == PLACES[number]


def test_after_an_interruption_the_rest_is_written(from_archive: Rebuilt) -> None:
    class BreaksOff(MemoryProfiles):
        saves = 0

        async def save(self, *asked: object) -> Saved:
            self.saves += 1
            if self.saves == 2:
                raise StoreDown("pulled out")
            return await super().save(*asked)  # type: ignore[arg-type]  # passed on as they came

    store = BreaksOff()
    with pytest.raises(BackfillRefused, match="partition 1 was not written"):
        asyncio.run(fill(store, copy(from_archive), PLACES))
    assert 1 not in store.rows
    assert asyncio.run(fill(store, copy(from_archive), PLACES)) == ([1], [0])
    assert store.rows == from_archive.rows
    assert asyncio.run(fill(store, copy(from_archive), PLACES)) == ([], [0, 1])


def test_newer_or_other_rows_are_never_overwritten(past: Past, from_archive: Rebuilt) -> None:
    store = MemoryProfiles()
    asyncio.run(fill(store, copy(from_archive), PLACES))
    before = {number: dict(rows) for number, rows in store.rows.items()}
    shorter = copy(from_archive)
    oldest = min(shorter.rows[1], key=lambda card: newest_events([shorter.rows[1][card]], 1)[0])
    del shorter.rows[1][oldest]
    with pytest.raises(BackfillRefused, match=r"partition 1 holds \d+ rows of another history"):
        asyncio.run(fill(store, shorter, PLACES))
    first = min(from_archive.rows[0].items(), key=lambda item: newest_events([item[1]], 0)[0])
    older = Rebuilt({0: dict([first]), 1: {}})
    with pytest.raises(BackfillRefused, match="newer than this history"):
        asyncio.run(fill(store, older, PLACES))
    assert store.rows == before


def test_a_scorer_that_comes_between_is_not_overwritten(from_archive: Rebuilt) -> None:
    class TakenMeanwhile(MemoryProfiles):
        async def load(self, partition: int):  # type: ignore[no-untyped-def]  # as the class it extends
            async for some in super().load(partition):
                yield some
            await super().take(partition, "a scorer's")

    store = TakenMeanwhile()
    with pytest.raises(BackfillRefused, match="taken by a scorer meanwhile"):
        asyncio.run(fill(store, copy(from_archive), PLACES))
    assert not store.rows


# --- the command


@pytest.fixture
def redis_url(valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CARDWATCH_REDIS_URL", valkey.url)
    monkeypatch.setenv("CARDWATCH_TOPIC_PREFIX", "filled-")
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))
    return valkey.url


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["backfill", *map(str, arguments)])


def test_the_command_fills_a_store_once(past: Past, from_archive: Rebuilt, redis_url: str) -> None:
    first = run("--archive", past.root, "--partitions", 2)
    assert first.exit_code == 0, first.output
    assert "300 transactions read" in first.output
    assert "2 partitions written, 0 had" in first.output

    async def stored() -> dict[int, dict[bytes, bytes]]:
        client = connect(redis_url)
        profiles = RedisProfiles(client, "filled-")
        found = {}
        for number in range(PARTITIONS):
            found[number] = (await own(profiles, number, None, always)).rows
        await client.aclose()
        return found

    assert asyncio.run(stored()) == from_archive.rows
    assert "0 partitions written, 2 had these profiles already" in run("--archive", past.root, "--partitions", 2).output
    other = run("--archive", past.root, "--partitions", 3)
    assert other.exit_code == 2
    assert "made for 2 partitions" in other.output


def test_running_scorers_are_left_alone(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    async def three(settings: object, group: str) -> int:
        assert group == "scorer"
        return 3

    monkeypatch.setattr("pipeline.app.backfill.group_members", three)
    done = run("--archive", past.root)
    assert done.exit_code == 1
    assert "scorers are at work" in done.output


def test_files_or_an_archive_are_asked_for(past: Past, tmp_path: Path) -> None:
    assert run("--partitions", 2).exit_code == 2
    assert run(tmp_path / "a.csv", "--archive", past.root).exit_code == 2
