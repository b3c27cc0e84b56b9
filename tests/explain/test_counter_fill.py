"""`cardwatch backfill --counters`: a new counter's values on known cards are those of a scorer that always had it."""

import asyncio
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from explain_world import CONFIG, KEEN, MONEY, OWN, Past, policy

from pipeline.adapters.kafka.log import partition_of
from pipeline.adapters.memory import MemoryProfiles
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.app.backfill import BackfillPlan, History
from pipeline.cli import main
from pipeline.core.counter_backfill import history_s
from pipeline.core.counter_slots import without_counters
from pipeline.core.profile_row import NEWEST, NUMBERS, SPARE
from pipeline.core.topics import TRANSACTIONS
from pipeline.embedded.store import EmbeddedStore
from pipeline.lab import counter_fill
from pipeline.lab.backfill import BackfillRefused, PastRecord, Rebuilt, put_rows, rebuild
from pipeline.lab.counter_fill import CLEARED_WITHIN_S, CountersFilled, fill_counters, places_of, proven
from pipeline.ports import ProfileStore
from pipeline.roles.scorer.owned import own

COUNTERS = policy(OWN).counters
Rows = dict[int, dict[bytes, bytes]]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Under policies without counters."""
    return Past(tmp_path_factory.mktemp("archive"), 300)


@pytest.fixture(scope="module")
def always_had(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of a scorer that had the counters from the first of these transactions on."""
    traffic = Past(tmp_path_factory.mktemp("other"), 300, (OWN,)).traffic
    return {number: traffic.rows(number) for number in (0, 1)}


def stored(past: Past) -> tuple[Rows, dict[int, int]]:
    rows = {number: dict(past.traffic.rows(number)) for number in (0, 1)}
    return rows, {number: len(past.traffic.log.part(TRANSACTIONS, number)) for number in (0, 1)}


def at_rest(rows: Rows, places: dict[int, int]) -> MemoryProfiles:
    store = MemoryProfiles()
    for number, some in rows.items():
        store.rows[number] = dict(some)
        store.places[number] = ("of a scorer that stopped", 4, places[number])
    return store


async def filled(store: ProfileStore, root: Path) -> CountersFilled:
    places = await places_of(store, 2)
    history = History(BackfillPlan((), root, 2), {one: place.next_offset or 0 for one, place in places.items()})
    made = rebuild(history.pieces(), MONEY, COUNTERS, 2, lambda card: partition_of(card, 2), lambda read: None)
    return await fill_counters(store, counter_fill.Past(made, history.since, history.torn), COUNTERS, places)


def test_values_are_those_of_a_scorer_that_always_had_the_counters(past: Past, always_had: Rows) -> None:
    rows, places = stored(past)
    store = at_rest(rows, places)
    assert store.rows != always_had
    assert asyncio.run(filled(store, past.root)) == (6, 0, 0)
    assert store.rows == always_had
    assert {number: place[2] for number, place in store.places.items()} == places
    before = dict(store.places)
    assert asyncio.run(filled(store, past.root)) == (0, 6, 0)
    assert store.places == before, "nothing to write, nothing is written"


def test_what_lies_beyond_the_checkpoint_is_not_counted(past: Past) -> None:
    """The scorer goes on from there and counts it itself."""
    now = stored(past)[1]
    earlier = {number: end - 40 for number, end in now.items()}
    history = [
        [
            PastRecord(record.value or b"", record.timestamp)
            for record in past.traffic.log.part(TRANSACTIONS, number)[:end]
        ]
        for number, end in earlier.items()
    ]
    made = [
        rebuild(history, MONEY, counters, 2, lambda card: partition_of(card, 2), lambda read: None).rows
        for counters in (policy(KEEN).counters, COUNTERS)
    ]
    store = at_rest(made[0], earlier)
    assert asyncio.run(filled(store, past.root)) == (6, 0, 0)
    assert store.rows == made[1]


def test_a_card_whose_past_is_not_all_there_keeps_what_it_has(past: Past, tmp_path: Path) -> None:
    rows, places = stored(past)
    store = at_rest(rows, places)
    shutil.copytree(past.root / "scored", tmp_path / "scored")
    days = sorted((tmp_path / "scored").iterdir())
    shutil.rmtree(days[-1])
    assert asyncio.run(filled(store, tmp_path)) == (0, 0, 6)
    assert store.rows == rows


def test_an_archive_that_reaches_back_far_enough_is_enough_if_it_ends_alike(past: Past, always_had: Rows) -> None:
    made = next(iter(always_had[0].values()))
    older = bytearray(without_counters(made))
    older[SPARE - 1] ^= 1  # a habit of before the archive began
    row = bytes(older)
    newest = NUMBERS.unpack_from(row)[NEWEST]
    since = newest - history_s(COUNTERS) - CLEARED_WITHIN_S
    enough = counter_fill.Past(Rebuilt({}), since, ())
    assert proven(row, made, enough, COUNTERS, torn=False)
    assert not proven(row, made, enough._replace(since=since + 1), COUNTERS, torn=False)
    assert not proven(row, made, enough, COUNTERS, torn=True)
    assert not proven(row[:-1] + bytes([row[-1] ^ 1]), made, enough, COUNTERS, torn=False)
    assert proven(without_counters(made), made, enough._replace(since=since + 1), COUNTERS, torn=True)


def test_a_scorer_that_comes_between_is_not_overwritten(past: Past) -> None:
    rows, places = stored(past)
    store = at_rest(rows, places)

    async def between() -> None:
        place = (await places_of(store, 2))[0]
        await store.take(0, "a scorer's")
        await put_rows(store, 0, place, {b"tok_x": b""}, places[0])

    with pytest.raises(BackfillRefused, match="taken by a scorer meanwhile"):
        asyncio.run(between())
    assert store.rows == rows


# --- the command


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["backfill", "--counters", *map(str, arguments)])


def test_the_command_fills_the_profiles_of_a_store(
    past: Past, always_had: Rows, valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARDWATCH_REDIS_URL", valkey.url)
    monkeypatch.setenv("CARDWATCH_TOPIC_PREFIX", "counted-")
    monkeypatch.setenv("CARDWATCH_CONFIG_DIR", str(CONFIG))
    rows, places = stored(past)

    async def begin() -> None:
        client = connect(valkey.url)
        profiles = RedisProfiles(client, "counted-")
        await profiles.layout(2)
        for number in (0, 1):
            owned = await own(profiles, number, None, yes)
            owned.dirty, owned.next = rows[number], places[number]
            assert await owned.save(profiles)
        await client.aclose()

    async def end() -> Rows:
        client = connect(valkey.url)
        profiles = RedisProfiles(client, "counted-")
        found = {number: (await own(profiles, number, None, yes)).rows for number in (0, 1)}
        await client.aclose()
        return found

    nothing = run("--archive", past.root, "--partitions", 2)
    assert (nothing.exit_code, "has no [counters]" in nothing.output) == (1, True), nothing.output
    file = tmp_path / "own.toml"
    reasons = OWN.replace("large_amount", "cash_abroad").replace("many_today", "score_review")
    file.write_text(reasons)
    monkeypatch.setenv("CARDWATCH_SCORER_POLICY", str(file))
    empty = run("--archive", past.root, "--partitions", 2)
    assert (empty.exit_code, "no card profiles are stored" in empty.output) == (1, True), empty.output
    asyncio.run(begin())
    done = run("--archive", past.root, "--partitions", 2)
    assert done.exit_code == 0, done.output
    assert "6 cards have their values now, 0 had them already" in done.output
    assert asyncio.run(end()) == always_had
    assert run().exit_code == 2


async def yes() -> bool:
    return True
