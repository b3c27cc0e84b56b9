"""A worker that was frozen past its session, woken, and writes: refused by the fence; with the fence off, seen red."""

import asyncio

import pytest
from scorer_world import letters_of, row_of

from pipeline.adapters.memory import MemoryProfiles
from pipeline.core.profile_row import EMPTY_ROW
from pipeline.roles.scorer.owned import OwnedPartition, own


async def always() -> bool:
    return True


RECORDS = ((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"4"), (b"a", b"5"), (b"b", b"6"))
"""The log of one partition: each record writes one letter more into its card's row."""
UNINTERRUPTED = {b"a": b"1345", b"b": b"26"}


def read(owned: OwnedPartition, until: int) -> None:
    for offset in range(owned.next or 0, until):
        card, letter = RECORDS[offset]
        owned.rows[card] = owned.dirty[card] = row_of(letters_of(owned.rows.get(card, EMPTY_ROW)) + letter)
        owned.next = offset + 1


async def frozen_and_woken(store: MemoryProfiles) -> dict[bytes, bytes]:
    """The rows found by whoever comes last: one worker is frozen at record 3 with its save under way, another takes
    over and saves, the first wakes and saves, the second goes on."""
    first = await own(store, 0, None, always)
    read(first, 2)
    await first.save(store)
    read(first, 3)
    second = await own(store, 0, None, always)
    read(second, 5)
    await second.save(store)
    await first.save(store)  # woken
    read(second, 6)
    await second.save(store)
    return {card: letters_of(row) for card, row in (await own(store, 0, None, always)).rows.items()}


def test_a_woken_worker_changes_nothing() -> None:
    assert asyncio.run(frozen_and_woken(MemoryProfiles())) == UNINTERRUPTED


def test_with_the_fence_off_the_same_story_ends_wrong() -> None:
    store = MemoryProfiles()
    store.fenced = False
    rows = asyncio.run(frozen_and_woken(store))
    with pytest.raises(AssertionError):
        assert rows == UNINTERRUPTED
