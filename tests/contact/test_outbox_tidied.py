"""Acknowledged records leave the outbox a beat later, many in one write: each write is an fsync that commits wait for."""

import asyncio
from collections.abc import Sequence

import pytest
from contact_world import World, customer, decision, own

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.ports import StoreDown


class Counting(MemoryContactStore):
    """Counts writes that forget, and may be down for them."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.down = False

    async def published(self, ids: Sequence[str]) -> None:
        if self.down:
            raise StoreDown("away")
        self.writes += 1
        await super().published(ids)


def test_a_beat_forgets_all_that_was_acknowledged_since_the_last_in_one_write() -> None:
    world = World(Counting())

    async def run() -> None:
        role = world.worker()
        await own(role)
        people = range(5)
        await role.customers([customer(f"cu{n}", f"tok_card_{n:04}") for n in people])
        records = [decision(f"tx{n}", offset=n, card=f"tok_card_{n:04}", customer=f"cu{n}") for n in people]
        await role.polled({0: records})
        await role.work.idle()
        assert len(world.store.outbox) == 5 * len(["hold", "planned", "sending", "accepted"])
        world.store.down = True
        with pytest.raises(StoreDown):
            await role.tick()
        assert len(world.store.outbox) == 20
        world.store.down = False
        await role.tick()
        assert (world.store.outbox, world.store.writes) == ({}, 1)
        await role.tick()
        assert world.store.writes == 1

    asyncio.run(run())


def test_a_worker_that_ends_leaves_nothing_to_be_published_again() -> None:
    world = World(Counting())

    async def run() -> None:
        role = world.worker()
        await own(role)
        await role.customers([customer()])
        await role.polled({0: [decision()]})
        await role.stop()
        assert world.store.outbox == {}

    asyncio.run(run())
