"""When the scorer saves: never many rows of several partitions at once, never what is not acknowledged, and how long
the store has been behind is told from the first change on."""

import asyncio

import pytest
from scorer_world import card_in
from test_scorer_role import CHECKPOINT_MS, MEMBER, Desk, some

from pipeline.adapters.memory import MemoryProfiles
from pipeline.ports import Saved
from pipeline.roles.scorer import role


class Watched(MemoryProfiles):
    """Notes the order of saves; while ``held`` they do not come back."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[int] = []
        self.held = asyncio.Event()
        self.held.set()

    async def save(self, partition: int, *words: object) -> Saved:
        self.order.append(partition)
        await self.held.wait()
        return await super().save(partition, *words)  # type: ignore[arg-type]


def test_partitions_with_many_changed_rows_are_saved_one_after_the_other() -> None:
    async def story() -> None:
        desk = Desk(store := Watched(), rows=5)
        await desk.take(0, 1, 2)
        for number in (2, 0, 1):
            await desk.poll(number, some(number, 6))
            desk.later(1)
        desk.later(CHECKPOINT_MS)
        for expected in ([2], [2, 0], [2, 0, 1]):
            await desk.boundary()
            assert store.order == expected, "the one that waits longest first"
        assert all(owned.unsaved == 0 for owned in desk.scorer._owned.values())

    asyncio.run(story())


def test_while_one_large_save_is_under_way_no_other_begins() -> None:
    async def story() -> None:
        desk = Desk(store := Watched(), rows=5)
        await desk.take(0, 1)
        for number in (0, 1):
            await desk.poll(number, some(number, 6))
        store.held.clear()
        for _ in range(3):
            await desk.scorer.boundary()
            await asyncio.sleep(0)
        assert store.order == [0]
        store.held.set()
        await desk.saves()
        await desk.boundary()
        assert store.order == [0, 1]

    asyncio.run(story())


def test_partitions_with_few_changed_rows_are_saved_together() -> None:
    async def story() -> None:
        desk = Desk(store := Watched(), rows=5)
        await desk.take(0, 1)
        for number in (0, 1):
            await desk.poll(number, some(number, 2))
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        assert store.order == [0, 1]

    asyncio.run(story())


def test_what_a_later_poll_changes_is_not_in_a_save_that_was_begun_before_it() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        desk.later(CHECKPOINT_MS)
        await desk.scorer.boundary()  # the save is begun, and has not run yet
        await desk.poll(0, some(0, 2, start=2), first=2)
        await desk.saves()
        assert desk.store.places[0][2] == 2
        assert desk.store.rows[0].keys() == {card_in(0, number).encode() for number in range(2)}

    asyncio.run(story())


def test_the_age_of_a_checkpoint_grows_for_as_long_as_the_store_is_away() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        desk.store.down = True
        for number in range(1, 4):
            desk.later(CHECKPOINT_MS)
            await desk.boundary()
            await desk.poll(0, some(0, 1, start=number), first=number)
        desk.scorer.refresh_metrics({})
        assert desk.value("checkpoint_age_seconds") == 3 * CHECKPOINT_MS / 1000
        desk.store.down = False
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        desk.scorer.refresh_metrics({})
        assert desk.value("checkpoint_age_seconds") == 0.0
        assert len(desk.store.rows[0]) == 4

    asyncio.run(story())


def test_a_store_that_is_away_is_not_asked_at_every_boundary() -> None:
    async def story() -> None:
        desk = Desk(rows=1)
        await desk.take(0)
        await desk.poll(0, some(0, 1))
        desk.store.down = True
        for _ in range(5):
            await desk.boundary()
        assert desk.value("checkpoints_failed_total") == 1

    asyncio.run(story())


def test_a_last_save_that_comes_too_late_mixes_nothing_with_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role, "FINAL_SAVE_S", 0.0)

    async def story() -> None:
        desk = Desk(store := Watched())
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        store.held.clear()
        await desk.scorer.revoked(clean=True)
        assert desk.scorer.keep([0], MEMBER, 2) == {0: 2}
        await desk.poll(0, some(0, 1, start=2), first=2)
        store.held.set()
        await desk.saves()
        assert store.rows == {}, "given up, and begun anew"
        desk.later(CHECKPOINT_MS)
        await desk.boundary()
        assert (len(store.rows[0]), store.places[0][1:]) == (3, (1, 3))

    asyncio.run(story())


def test_rows_that_were_dropped_are_lost_to_whoever_still_has_them() -> None:
    async def story() -> None:
        desk = Desk()
        await desk.take(0)
        (owned,) = desk.scorer._owned.values()
        await desk.scorer.revoked(clean=False)
        assert owned.lost

    asyncio.run(story())
