"""Ownership of a partition's rows: taking, saving, being fenced, and the answers that get lost on their way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from scorer_world import row_of

from pipeline.adapters.memory import MemoryProfiles
from pipeline.ports import StoreDown
from pipeline.roles.scorer.owned import OwnedPartition, own


async def always() -> bool:
    return True


def take(store: MemoryProfiles, warm: OwnedPartition | None = None) -> OwnedPartition:
    return asyncio.run(own(store, 0, warm, always))


def hand_over(store: MemoryProfiles, owned: OwnedPartition) -> None:
    async def last() -> None:
        await owned.hand_over(store)

    asyncio.run(last())


def change(owned: OwnedPartition, card: bytes, row: bytes, following: int) -> None:
    owned.rows[card] = owned.dirty[card] = row
    owned.next = following


def test_what_was_saved_is_found_by_the_next_owner() -> None:
    store = MemoryProfiles()
    first = take(store)
    assert first.next is None
    change(first, b"tok_a", row_of(b"row"), 5)
    assert asyncio.run(first.save(store))
    second = take(store)
    assert (second.next, second.rows, second.sequence) == (5, {b"tok_a": row_of(b"row")}, 1)


def test_an_earlier_owner_is_refused_and_knows_it() -> None:
    store = MemoryProfiles()
    first, second = take(store), take(store)
    change(first, b"tok_a", row_of(b"old"), 5)
    change(second, b"tok_a", row_of(b"new"), 6)
    assert asyncio.run(second.save(store))
    assert not asyncio.run(first.save(store))
    assert first.lost
    assert not second.lost
    assert store.rows[0] == {b"tok_a": row_of(b"new")}


def test_without_the_fence_the_earlier_owner_would_overwrite() -> None:
    store = MemoryProfiles()
    store.fenced = False
    first, second = take(store), take(store)
    change(second, b"tok_a", row_of(b"new"), 6)
    asyncio.run(second.save(store))
    change(first, b"tok_a", row_of(b"old"), 5)
    asyncio.run(first.save(store))
    assert store.rows[0] == {b"tok_a": row_of(b"old")}


def test_a_store_that_came_back_older_refuses() -> None:
    store = MemoryProfiles()
    owned = take(store)
    before = dict(store.places)
    for following in (1, 2):
        change(owned, b"tok_a", row_of(b"%d" % following), following)
        assert asyncio.run(owned.save(store))
    store.places = before
    change(owned, b"tok_a", row_of(b"row3"), 3)
    assert not asyncio.run(owned.save(store))
    assert owned.lost


def test_a_save_whose_answer_was_lost_is_not_refused_the_second_time() -> None:
    store = MemoryProfiles()
    owned = take(store)
    change(owned, b"tok_a", row_of(b"row"), 5)
    asyncio.run(store.save(0, owned.token, 1, 5, owned.dirty))  # applied, but the answer never came
    change(owned, b"tok_b", row_of(b"row"), 6)
    assert asyncio.run(owned.save(store))
    assert owned.behind, "what came after the lost answer is still to be saved"
    hand_over(store, owned)
    assert store.rows[0] == {b"tok_a": row_of(b"row"), b"tok_b": row_of(b"row")}
    assert store.places[0][1:] == (2, 6)


def test_while_the_store_is_down_everything_stays_to_be_saved() -> None:
    store = MemoryProfiles()
    owned = take(store)
    change(owned, b"tok_a", row_of(b"row"), 5)
    store.down = True
    assert not asyncio.run(owned.save(store))
    assert not owned.lost
    store.down = False
    assert asyncio.run(owned.save(store))
    assert not owned.behind


def test_warm_rows_serve_again_when_nobody_came_between() -> None:
    store = MemoryProfiles()
    owned = take(store)
    change(owned, b"tok_a", row_of(b"row"), 5)
    asyncio.run(owned.save(store))
    assert take(store, warm=owned) is owned
    stranger = take(store)
    assert take(store, warm=owned) is not stranger
    assert owned.token != store.places[0][0]


def test_a_partition_that_moves_while_it_loads_is_taken_again_only_after_proof() -> None:
    class Racing(MemoryProfiles):
        raced = False

        async def load(self, partition: int) -> AsyncIterator[dict[bytes, bytes]]:
            if not self.raced:
                self.raced = True
                await self.take(partition, "somebody else")
            async for some in super().load(partition):
                yield some

    asked = []

    async def proven() -> bool:
        asked.append(1)
        return len(asked) > 1

    store = Racing()
    owned = asyncio.run(own(store, 0, None, proven))
    assert len(asked) == 2
    assert store.places[0][0] == owned.token


def test_the_memory_store_fails_as_an_outage_does() -> None:
    store = MemoryProfiles()
    store.down = True
    with pytest.raises(StoreDown):
        asyncio.run(store.position(0))
