"""The account store on a real Redis server."""

import asyncio
import itertools

import pytest

pytest.register_assert_rewrite("reminders.account_store_behaviour")

from reminders.account_store_behaviour import (  # noqa: E402 - after the rewrite is registered
    AccountStoreBehaviour,
    Check,
)
from servers import RedisServer  # noqa: E402

from pipeline.adapters.redis.accounts import RedisAccountStore  # noqa: E402
from pipeline.adapters.redis.connection import connect  # noqa: E402
from pipeline.adapters.redis.contacts import RedisContactStore  # noqa: E402

pytestmark = pytest.mark.redis
_numbers = itertools.count()


class TestRealAccountStore(AccountStoreBehaviour):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url
        self.prefix = f"accounts{next(_numbers)}-"

    def run(self, check: Check) -> None:
        async def go() -> None:
            async with connect(self.url) as client:
                await check(RedisAccountStore(client, self.prefix), RedisContactStore(client, self.prefix))

        asyncio.run(go())
