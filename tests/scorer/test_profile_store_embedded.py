"""The store of card rows on the embedded Valkey, with saves in one step and by journal."""

import asyncio
import itertools

import pytest

pytest.register_assert_rewrite("profile_store_behaviour")

from profile_store_behaviour import MANY, Check, ProfileStoreBehaviour, loaded  # noqa: E402 - after the rewrite
from scorer_world import row_of  # noqa: E402

from pipeline.adapters.redis import profiles  # noqa: E402
from pipeline.adapters.redis.connection import connect  # noqa: E402
from pipeline.adapters.redis.profiles import RedisProfiles  # noqa: E402
from pipeline.embedded.store import EmbeddedStore  # noqa: E402
from pipeline.ports import StoreDown  # noqa: E402

_numbers = itertools.count()


class TestEmbeddedProfiles(ProfileStoreBehaviour):
    whole_rows = profiles.WHOLE_ROWS
    slice_rows = profiles.SLICE_ROWS

    @pytest.fixture(autouse=True)
    def _server(self, valkey: EmbeddedStore) -> None:
        self.url = valkey.url

    def run(self, check: Check) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                await check(RedisProfiles(client, f"p{next(_numbers)}-", self.whole_rows, self.slice_rows))

        asyncio.run(go())


class TestProfilesByJournal(TestEmbeddedProfiles):
    whole_rows = 3
    slice_rows = 2


def test_a_journal_leaves_nothing_behind(valkey: EmbeddedStore) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            store = RedisProfiles(client, "clean-", 3, 2)
            await store.take(0, "a")
            await store.save(0, "a", 1, 10, MANY)
            keys = [key async for key in client.scan_iter(match="clean-*")]
            assert sorted(keys) == [b"clean-profiles:{0}:owner", b"clean-profiles:{0}:rows"]
            assert (await client.hgetall("clean-profiles:{0}:owner")).keys() == {b"token", b"sequence", b"next"}

    asyncio.run(go())


def test_marks_of_more_than_one_piece_are_read_whole(valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MARKS_BYTES", 8)

    async def go() -> None:
        async with connect(valkey.url) as client:
            store = RedisProfiles(client, "marks-")
            await store.take(0, "a")
            await store.save(0, "a", 1, 10, MANY)
            for number, (card, row) in enumerate(MANY.items()):
                assert await store.marks(0) == b"".join(b"%08d" % before for before in range(number))
                await store.archive(0, "a", 1, {card: row}, b"%08d" % number)
            assert await loaded(store) == {}

    asyncio.run(go())


def test_a_store_of_rows_that_is_away_says_so() -> None:
    async def go() -> None:
        async with connect("redis://127.0.0.1:1/0") as client:
            store = RedisProfiles(client, "", 3, 2)
            calls = (
                store.take(0, "a"), store.position(0), loaded(store), store.save(0, "a", 1, 1, {}), store.marks(0),
                store.save(0, "a", 1, 1, MANY), store.archive(0, "a", 1, MANY, b""), store.wake(0, "a", 1, [b"tok_1"]),
            )  # fmt: skip
            for call in calls:
                with pytest.raises(StoreDown):
                    await call

    asyncio.run(go())


class Interrupted(RedisProfiles):
    """The server goes away between the commit of a journal and the first row put in place, once."""

    away = True

    async def _put_in_place(self, partition: int, token: str) -> None:
        if self.away:
            self.away = False
            raise StoreDown("interrupted")
        await super()._put_in_place(partition, token)


@pytest.mark.parametrize("then", ["save", "archive", "wake", "take"])
def test_what_a_committed_journal_left_comes_before_everything_else(valkey: EmbeddedStore, then: str) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            store = Interrupted(client, f"left-{then}-", 3, 2)
            await store.take(0, "a")
            assert await store.save(0, "a", 1, 10, MANY) == "saved"
            assert await loaded(store) == {}
            with pytest.raises(StoreDown):
                await store.position(0)
            old = {b"tok_0003": MANY[b"tok_0003"]}
            match then:
                case "save":
                    assert await store.save(0, "a", 2, 11, {b"tok_0003": row_of(b"newer")}) == "saved"
                    assert await loaded(store) == MANY | {b"tok_0003": row_of(b"newer")}
                case "archive":
                    assert await store.archive(0, "a", 1, old, b"12345678")
                    assert (await loaded(store)).keys() == MANY.keys() - old.keys()
                case "wake":
                    assert await store.wake(0, "a", 1, list(old)) == old
                case _:
                    assert await store.take(0, "b") == ("b", 1, 10, "a")
                    assert await loaded(store) == MANY
            assert (await store.position(0)).next_offset in (10, 11)

    asyncio.run(go())


def test_a_journal_that_was_not_committed_goes_with_its_owner(valkey: EmbeddedStore) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            store = RedisProfiles(client, "gone-", 3, 2)
            await store.take(0, "a")
            await store._begin(keys=store._keys(0, "owner", "journal"), args=["a", 1, "name"])
            await store._stage(keys=store._keys(0, "owner", "journal"), args=["a", "name", b"rows"])
            assert await client.exists("gone-profiles:{0}:journal")
            await store.take(0, "b")
            assert not await client.exists("gone-profiles:{0}:journal")
            assert (await client.hgetall("gone-profiles:{0}:owner")).keys() == {b"token"}

    asyncio.run(go())


def test_a_journal_that_lost_a_slice_is_not_committed(valkey: EmbeddedStore) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            store = RedisProfiles(client, "slice-", 3, 2)
            await store.take(0, "a")
            keys = store._keys(0, "owner", "journal")
            await store._begin(keys=keys, args=["a", 1, "name"])
            await store._stage(keys=keys, args=["a", "name", b"rows"])
            assert await store._commit(keys=keys, args=["a", 1, "name", 10, 2]) == b"refused"
            assert await store._commit(keys=keys, args=["a", 1, "another", 10, 1]) == b"refused"
            assert (await store.position(0)).next_offset is None

    asyncio.run(go())
