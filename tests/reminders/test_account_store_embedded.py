"""The account store on the embedded Valkey, with no more rights than the role is told to be given."""

import asyncio
import itertools

import pytest

pytest.register_assert_rewrite("reminders.account_store_behaviour")

from reminders.account_store_behaviour import (  # noqa: E402 - after the rewrite is registered
    NOW,
    AccountStoreBehaviour,
    Check,
    change,
)

from pipeline.adapters.redis.accounts import RedisAccountStore  # noqa: E402
from pipeline.adapters.redis.connection import connect, refusal  # noqa: E402
from pipeline.adapters.redis.contacts import RedisContactStore  # noqa: E402
from pipeline.adapters.redis.rights import RIGHTS, rule  # noqa: E402
from pipeline.embedded.store import EmbeddedStore  # noqa: E402
from pipeline.ports import StoreDown  # noqa: E402

_numbers = itertools.count()


class TestEmbeddedAccountStore(AccountStoreBehaviour):
    @pytest.fixture(autouse=True)
    def _server(self, valkey: EmbeddedStore) -> None:
        self.url = valkey.url
        self.prefix = f"t{next(_numbers)}-"

    def run(self, check: Check) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                words = rule("reminder", self.prefix).split()
                await client.execute_command("ACL", "SETUSER", "reminding", "reset", "on", ">pass", *words)
                mine = self.url.replace("redis://", "redis://reminding:pass@")
                assert await refusal(mine, RIGHTS["reminder"], self.prefix) is None
                async with connect(mine) as limited:
                    contacts = RedisContactStore(client, self.prefix)
                    await check(RedisAccountStore(limited, self.prefix), contacts)

        asyncio.run(go())

    def test_the_record_of_an_account_that_owes_nothing_is_forgotten_some_time(self) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                store = RedisAccountStore(client, self.prefix)
                name = f"{self.prefix}contact:note:a:ac1"
                await store.commit([change()], NOW, 1)
                assert await client.pttl(name) == -1
                await store.commit([change(before=change().after, due_ms=None)], NOW, 1)
                assert await client.pttl(name) > 0
                await store.commit([change(before=change().after)], NOW, 1)
                assert await client.pttl(name) == -1

        asyncio.run(go())


def test_a_store_that_is_away_says_so() -> None:
    async def go() -> None:
        async with connect("redis://127.0.0.1:1/0") as client:
            store = RedisAccountStore(client)
            for call in (
                store.position(0),
                store.read(["ac1"]),
                store.commit([], 0, 1),
                store.claim([0], 0, 1, 1),
                store.put_planned(0, ""),
                store.mark({0: 1}),
            ):
                with pytest.raises(StoreDown):
                    await call

    asyncio.run(go())
