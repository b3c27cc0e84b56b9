"""The account store in memory."""

import asyncio

import pytest

pytest.register_assert_rewrite("reminders.account_store_behaviour")

from reminders.account_store_behaviour import (  # noqa: E402 - after the rewrite is registered
    AccountStoreBehaviour,
    Check,
)

from pipeline.adapters.memory_accounts import MemoryAccountStore  # noqa: E402
from pipeline.adapters.memory_contacts import MemoryContactStore  # noqa: E402


class TestMemoryAccountStore(AccountStoreBehaviour):
    def run(self, check: Check) -> None:
        async def go() -> None:
            contacts = MemoryContactStore()
            await check(MemoryAccountStore(contacts.notes), contacts)

        asyncio.run(go())
