"""The contact store in memory."""

import asyncio

import pytest

pytest.register_assert_rewrite("contact.store_behaviour")

from contact.store_behaviour import Check, ContactStoreBehaviour  # noqa: E402 - after the rewrite is registered

from pipeline.adapters.memory_contacts import MemoryContactStore  # noqa: E402
from pipeline.ports_contact import ContactStore  # noqa: E402


class TestMemoryContactStore(ContactStoreBehaviour):
    def run(self, check: Check) -> None:
        async def go() -> None:
            await check(MemoryContactStore())

        asyncio.run(go())

    async def unschedule(self, store: ContactStore, contact: str) -> None:
        assert isinstance(store, MemoryContactStore)
        del store.due[contact]

    async def lose(self, store: ContactStore, contact: str) -> None:
        assert isinstance(store, MemoryContactStore)
        del store.due[contact], store.given[contact], store.kept[contact]
