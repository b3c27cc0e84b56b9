"""Cards not seen for long: they leave memory, keep a mark, and come back to the byte."""

import asyncio

import pytest
from scorer_world import NOW, card_in, records, row_of, transaction
from test_scorer_role import Desk, some

from pipeline.adapters.memory import MemoryProfiles
from pipeline.core.profile_row import NEWEST, NUMBERS
from pipeline.roles.scorer import dormant as dormant_module
from pipeline.roles.scorer import owned as owned_module
from pipeline.roles.scorer.dormant import Dormant, UnreadableRow, mark, newest_events
from pipeline.roles.scorer.owned import DAY_S, OwnedPartition, own, wake_all

DAYS = 400
AWAKE = {b"tok_awake_%d" % number: row_of(b"w%d" % number) for number in range(3)}
ASLEEP = {b"tok_asleep_%d" % number: row_of(b"s%d" % number, NOW - (DAYS + 1) * DAY_S) for number in range(5)}


async def always() -> bool:
    return True


def stored(rows: dict[bytes, bytes]) -> MemoryProfiles:
    store = MemoryProfiles()
    store.rows[0] = dict(rows)
    store.places[0] = ("somebody", 7, 100)
    return store


async def swept(store: MemoryProfiles, now: float = NOW) -> OwnedPartition:
    owned = await own(store, 0, None, always)
    while owned.sweep_at <= now:
        await owned.sweep(store, now, DAYS)
    return owned


def test_marks_are_found_before_and_after_they_are_sorted_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dormant_module, "MERGE_MARKS", 10)
    cards = [b"tok_%d" % number for number in range(25)]
    marks = Dormant(b"".join(map(mark, cards[:3])))
    for card in cards[3:]:
        assert card not in marks
        marks.add([card])
        assert card in marks
    assert all(card in marks for card in cards)
    assert not any(b"tok_%d" % number in marks for number in range(100, 200))
    assert not Dormant()


def test_a_card_archived_again_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dormant_module, "MERGE_MARKS", 3)
    marks = Dormant(mark(b"tok_again") * 2 + mark(b"tok_once"))
    assert len(marks) == 2
    marks.add([b"tok_again", b"tok_new"])
    marks.add([b"tok_new"])
    assert len(marks) == 3
    marks.add([b"tok_newer", b"tok_newest"])
    assert len(marks) == 5


def test_the_newest_event_is_where_the_layout_has_it() -> None:
    rows = [*AWAKE.values(), *ASLEEP.values()]
    assert newest_events(rows, 0).tolist() == [NUMBERS.unpack_from(row)[NEWEST] for row in rows]
    assert newest_events([], 0).tolist() == []


@pytest.mark.parametrize("wrong", [b"", b"short", b"\x09" + row_of(b"")[1:], row_of(b"") + b"x"])
def test_a_row_of_another_layout_is_named_and_not_used(wrong: bytes) -> None:
    store = stored(AWAKE | {b"tok_wrong": wrong})
    with pytest.raises(UnreadableRow, match=rf"^partition 0: a card row of {len(wrong)} bytes, layout version"):
        asyncio.run(own(store, 0, None, always))


def test_cards_not_seen_for_long_leave_memory_and_come_back_to_the_byte() -> None:
    async def story() -> None:
        store = stored(AWAKE | ASLEEP)
        for take in (swept(store), own(store, 0, None, always)):
            owned = await take
            assert owned.rows == AWAKE
            assert len(owned.dormant) == len(ASLEEP)
            await wake_all(store, [(owned, [b"tok_asleep_3", b"tok_awake_1", b"tok_new"])])
            assert owned.rows == AWAKE | {b"tok_asleep_3": ASLEEP[b"tok_asleep_3"]}
            assert not owned.behind, "a move is no change"

    asyncio.run(story())


def test_old_is_measured_from_the_partitions_own_newest_event_unless_that_lies_ahead() -> None:
    async def story() -> None:
        assert (await swept(stored(ASLEEP), NOW)).rows == ASLEEP, "a history of long ago is not dormant as a whole"
        ahead = stored(AWAKE | {b"tok_ahead": row_of(b"", NOW + 2 * DAYS * DAY_S)})
        assert len((await swept(ahead, NOW)).rows) == 4, "one wrong clock does not archive everybody else"

    asyncio.run(story())


def test_rows_that_the_store_lacks_are_not_moved() -> None:
    async def story() -> None:
        store = stored(AWAKE | ASLEEP)
        owned = await own(store, 0, None, always)
        owned.rows[b"tok_asleep_0"] = owned.dirty[b"tok_asleep_0"] = changed = row_of(b"x", NOW - 500 * DAY_S)
        owned.next = 101
        checkpoint = owned.checkpoint()
        owned.rows[b"tok_asleep_1"] = owned.dirty[b"tok_asleep_1"] = changed
        await owned.sweep(store, NOW, DAYS)
        assert store.archived[0].keys() == ASLEEP.keys() - {b"tok_asleep_0", b"tok_asleep_1"}
        assert await owned.save(store, checkpoint)
        assert store.rows[0][b"tok_asleep_0"] == changed

    asyncio.run(story())


def test_a_card_used_while_its_row_is_being_moved_stays() -> None:
    class Slow(MemoryProfiles):
        async def archive(self, *words: object) -> bool:
            moved = await super().archive(*words)  # type: ignore[arg-type]
            owned.rows[b"tok_asleep_2"] = owned.dirty[b"tok_asleep_2"] = row_of(b"used", NOW)
            return moved

    async def story() -> None:
        nonlocal owned
        store = Slow()
        store.rows[0], store.places[0] = AWAKE | ASLEEP, ("somebody", 7, 100)
        owned = await own(store, 0, None, always)
        await owned.sweep(store, NOW, DAYS)
        assert owned.rows == AWAKE | {b"tok_asleep_2": row_of(b"used", NOW)}

    owned: OwnedPartition
    asyncio.run(story())


def test_a_dormant_card_waits_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned_module, "RETRY_S", 0.0)

    async def story() -> None:
        store = stored(AWAKE | ASLEEP)
        owned = await swept(store)
        store.down = True
        await wake_all(store, [(owned, [b"tok_awake_0", b"tok_new"])])  # nobody it must wait for
        waiting = asyncio.create_task(wake_all(store, [(owned, [b"tok_asleep_0"])]))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        store.down = False
        await waiting
        assert owned.rows[b"tok_asleep_0"] == ASLEEP[b"tok_asleep_0"]

    asyncio.run(story())


def test_waiting_ends_when_the_partition_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned_module, "RETRY_S", 0.0)

    async def story() -> None:
        store = stored(AWAKE | ASLEEP)
        owned = await swept(store)
        store.down = True
        waiting = asyncio.create_task(wake_all(store, [(owned, [b"tok_asleep_0"])]))
        await asyncio.sleep(0)
        owned.lost = True
        await waiting
        assert b"tok_asleep_0" not in owned.rows

    asyncio.run(story())


def test_a_store_that_is_older_than_the_owner_is_not_asked_for_rows() -> None:
    async def story() -> None:
        store = stored(AWAKE | ASLEEP)
        owned = await swept(store)
        store.places[0] = (owned.token, 5, 90)
        await wake_all(store, [(owned, [b"tok_asleep_0"])])
        assert owned.lost

    asyncio.run(story())


def test_a_card_archived_while_another_partition_waits_is_woken_too() -> None:
    class Sweeping(MemoryProfiles):
        async def wake(self, partition: int, *words: object) -> dict[bytes, bytes] | None:
            if partition == 1 and first.rows.keys() & ASLEEP.keys():
                await first.sweep(self, NOW, DAYS)
            return await super().wake(partition, *words)  # type: ignore[arg-type]

    async def story() -> None:
        nonlocal first
        store = Sweeping()
        for number in (0, 1):
            store.rows[number], store.places[number] = AWAKE | ASLEEP, ("somebody", 7, 100)
        first, second = await own(store, 0, None, always), await own(store, 1, None, always)
        await second.sweep(store, NOW, DAYS)
        await wake_all(store, [(first, [b"tok_asleep_0"]), (second, [b"tok_asleep_1"])])
        assert (first.rows[b"tok_asleep_0"], len(first.rows)) == (ASLEEP[b"tok_asleep_0"], 4)

    first: OwnedPartition
    asyncio.run(story())


def test_the_scorer_looks_for_dormant_rows_when_it_has_nothing_to_save() -> None:
    async def story() -> None:
        desk = Desk(dormant_days=400)
        old = {card_in(0, number).encode(): row_of(b"", NOW - 500 * DAY_S) for number in range(50, 53)}
        desk.store.rows[0] = dict(old) | {card_in(0, 60).encode(): row_of(b"", NOW)}
        await desk.take(0)
        await desk.poll(0, some(0, 2))
        for _ in range(3):
            desk.later(1_000)
            await desk.boundary()
        assert desk.store.archived[0] == old
        desk.scorer.refresh_metrics({})
        assert desk.value("resident_profiles") == 3
        assert desk.value("archived_profiles") == 3

    asyncio.run(story())


def test_a_dormant_card_is_decided_by_its_own_row_whatever_the_records_key_says() -> None:
    async def story() -> None:
        decisions = []
        for days in (0, 400):
            desk = Desk(dormant_days=days)
            card = card_in(0, 50)
            await desk.take(0)
            long_ago = NOW - 500 * DAY_S
            history = [transaction(f"a{n}", card, long_ago + n) for n in range(6)]
            await desk.scorer.polled({0: records(0, history, 0, long_ago)})
            await desk.scorer.settled()
            await desk.poll(0, some(0, 2), first=6)
            for _ in range(4):
                desk.later(1_000)
                await desk.boundary()
            assert (card.encode() in desk.scorer._owned[0].rows) == (days == 0)
            strange = records(0, [transaction("late", card, NOW)], 8)[0]._replace(key=b"not its card")
            await desk.scorer.polled({0: [strange]})
            await desk.scorer.settled()
            decisions.append([decision | {"decided_at": ""} for decision in desk.decisions()])
            desk.later(1_000)
            await desk.boundary()
            decisions.append(desk.store.rows[0][card.encode()])
        assert decisions[:2] == decisions[2:]

    asyncio.run(story())


def test_a_partition_lost_while_its_dormant_card_was_asked_for_decides_nothing() -> None:
    async def story() -> None:
        desk = Desk(dormant_days=400)
        old = card_in(0, 50)
        desk.store.rows[0] = {old.encode(): row_of(b"", NOW - 500 * DAY_S), card_in(0).encode(): row_of(b"", NOW)}
        await desk.take(0, 1)
        for _ in range(3):
            await desk.boundary()
        await desk.store.take(0, "somebody else")
        await desk.scorer.polled({0: records(0, [transaction("t", old)]), 1: records(1, some(1, 1))})
        await desk.scorer.settled()
        assert [decision["id"] for decision in desk.decisions()] == ["t1-0"]
        assert await desk.boundary() == [0]

    asyncio.run(story())
