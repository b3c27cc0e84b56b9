"""The contact store on the embedded Valkey."""

import asyncio
import itertools

import pytest

pytest.register_assert_rewrite("contact.store_behaviour")

from contact.store_behaviour import KEEP, LEASE, NOW, Check, ContactStoreBehaviour  # noqa: E402 - after the rewrite is registered

from pipeline.adapters.redis.connection import connect  # noqa: E402
from pipeline.adapters.redis.contacts import RedisContactStore  # noqa: E402
from pipeline.core.contact_policy import CLASSES  # noqa: E402
from pipeline.embedded.store import EmbeddedStore  # noqa: E402
from pipeline.ports import StoreDown  # noqa: E402
from pipeline.ports_contact import ContactStore, Note  # noqa: E402

_numbers = itertools.count()


class TestEmbeddedContactStore(ContactStoreBehaviour):
    @pytest.fixture(autouse=True)
    def _server(self, valkey: EmbeddedStore) -> None:
        self.url = valkey.url
        self.prefix = f"t{next(_numbers)}-"

    def run(self, check: Check) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                await check(RedisContactStore(client, self.prefix))

        asyncio.run(go())

    async def unschedule(self, store: ContactStore, contact: str) -> None:
        async with connect(self.url) as client:
            schedules = ["due", *(f"due:{class_}" for class_ in CLASSES)]
            taken = [await client.zrem(f"{self.prefix}contact:{name}", contact) for name in schedules]
            assert sum(taken) == 1

    async def lose(self, store: ContactStore, contact: str) -> None:
        await self.unschedule(store, contact)
        async with connect(self.url) as client:
            assert await client.delete(f"{self.prefix}contact:conversation:{contact}") == 1

    def test_comparing_a_note_neither_gives_nor_takes_nor_renews_its_time_to_live(self) -> None:
        async def check(store: ContactStore) -> None:
            async with connect(self.url) as client:
                for name, keep_ms in (("for a while", 60_000), ("for good", None)):
                    await store.commit([], NOW, LEASE, KEEP, notes=[Note(name, b"", b"x", keep_ms)])
                    key = f"{self.prefix}contact:note:{name}"
                    if keep_ms:
                        await client.pexpire(key, 30_000)
                    for compared_ms in (None, 90_000):
                        await store.commit([], NOW, LEASE, KEEP, notes=[Note(name, b"x", b"x", compared_ms)])
                    left = await client.pttl(key)
                    assert (0 < left <= 30_000) if keep_ms else left == -1

        self.run(check)


def test_a_store_that_is_away_says_so() -> None:
    async def go() -> None:
        async with connect("redis://127.0.0.1:1/0") as client:
            store = RedisContactStore(client)
            for call in (store.position(0), store.conversation("ct_1"), store.open_count(), store.claim(0, 1, 1)):
                with pytest.raises(StoreDown):
                    await call

    asyncio.run(go())
