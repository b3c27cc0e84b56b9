"""The store of card rows in memory behaves as the real one."""

import asyncio

import pytest

pytest.register_assert_rewrite("profile_store_behaviour")

from profile_store_behaviour import Check, ProfileStoreBehaviour  # noqa: E402 - after the rewrite is registered

from pipeline.adapters.memory import MemoryProfiles  # noqa: E402


class TestProfilesInMemory(ProfileStoreBehaviour):
    def run(self, check: Check) -> None:
        async def go() -> None:
            await check(MemoryProfiles())

        asyncio.run(go())
