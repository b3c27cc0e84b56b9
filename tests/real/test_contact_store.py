"""The contact store on a real Redis server."""

import asyncio
import itertools

import pytest

pytest.register_assert_rewrite("contact.store_behaviour")

from contact.store_behaviour import Check, ContactStoreBehaviour  # noqa: E402 - after the rewrite is registered
from servers import RedisServer  # noqa: E402

from pipeline.adapters.redis.connection import connect  # noqa: E402
from pipeline.adapters.redis.contacts import RedisContactStore  # noqa: E402
from pipeline.core.contact_policy import CLASSES  # noqa: E402
from pipeline.ports_contact import ContactStore  # noqa: E402

pytestmark = pytest.mark.redis
_numbers = itertools.count()


class TestRealContactStore(ContactStoreBehaviour):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url
        self.prefix = f"contacts{next(_numbers)}-"

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
