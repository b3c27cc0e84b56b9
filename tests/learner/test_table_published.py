"""The table of entities on ``control``: told at once, by the leader alone, found again after a crash."""

import asyncio

import msgspec
import pytest
from labelled_world import LABELLED, label, row_record
from learner_world import KEY, Bank, features, put_rows

from pipeline.core.entities import digest_of
from pipeline.core.entity_record import open_part, seal_part
from pipeline.core.entity_table import BUCKETS, Bucket, EntityTable
from pipeline.core.records import Label
from pipeline.core.topics import CONTROL, LABELS, SCORED, is_table_key, table_key

CARD = digest_of("tok_00000000")
TILLS = ("a", "b")


def bank() -> Bank:
    return Bank(plan=LABELLED)


def put_scored(where: Bank, first: int, count: int) -> None:
    record = row_record(first, count, 0, terminals=TILLS)
    where.log.put(SCORED, record.value)


def put_label(where: Bank, said: Label) -> None:
    where.log.put(LABELS, msgspec.json.encode(said), key=said.card.encode())


def parts(where: Bank) -> list[Bucket]:
    return [open_part(entry.value or b"", KEY) for entry in where.log.of(CONTROL) if is_table_key(entry.key)]


def newest(where: Bank) -> dict[int, Bucket]:
    """What compaction leaves: of each key the last."""
    return {part.number: part for part in parts(where)}


def table(where: Bank) -> EntityTable:
    made = EntityTable()
    for part in newest(where).values():
        made.take(part)
    return made


def test_a_label_is_told_before_anything_else_is_read() -> None:
    where = bank()
    put_scored(where, 0, 20)

    async def scenario() -> None:
        stop, heard = asyncio.Event(), asyncio.Event()
        idles = 0

        def idle() -> None:
            nonlocal idles
            idles += 1
            if idles == 2:
                put_label(where, label(3))
            if parts(where):
                heard.set()

        learner, _ = where.learner(idle)
        task = asyncio.create_task(learner.run(stop))
        await asyncio.wait_for(heard.wait(), 20)
        assert idles <= 4, "at the next look at the log"
        stop.set()
        await asyncio.wait_for(task, 20)

    asyncio.run(scenario())
    assert len(table(where)) == 2
    assert {entry.key for entry in where.log.of(CONTROL)} == {
        table_key(key % BUCKETS) for key in (CARD, digest_of("b"), digest_of("t0-3"))
    }


def test_while_rows_keep_coming_labels_are_heard_between_their_records() -> None:
    where = Bank(plan=LABELLED, pace=Bank().pace._replace(labels_s=0.0))
    put_scored(where, 0, 20)
    put_label(where, label(3))
    for start in range(20, 80, 20):
        put_scored(where, start, 20)

    async def scenario() -> None:
        stop = asyncio.Event()
        learner, _ = where.learner(stop.set)
        await asyncio.wait_for(learner.run(stop), 20)

    asyncio.run(scenario())
    told = [(part.labels.get(0, 0), part.scored.get(0, 0)) for part in parts(where)]
    assert told[0] == (1, 1), "after the first record, before the second"


def test_a_learner_that_begins_again_finds_the_table_and_tells_it_as_its_own() -> None:
    where = bank()
    put_scored(where, 0, 60)
    for number in (3, 8):
        put_label(where, label(number))
    asyncio.run(where.killed_when_idle())
    before = newest(where)
    assert len(table(where)) == 3
    asyncio.run(where.until_idle())
    after = newest(where)
    assert {number: (part.rows, part.explained) for number, part in after.items()} == {
        number: (part.rows, part.explained) for number, part in before.items()
    }
    assert {part.epoch for part in after.values()} == {2}
    put_label(where, label(8, fraud=None))
    asyncio.run(where.until_idle())
    assert len(table(where)) == 2, "the other terminal's fraud is taken back, which the first learner put down"


def test_a_learner_killed_before_it_told_anything_of_a_label_tells_it_after() -> None:
    where = bank()
    put_scored(where, 0, 60)
    asyncio.run(where.killed_when_idle())
    put_label(where, label(3))
    where.log.failures = [ConnectionError("broker away")]
    asyncio.run(where.until_idle())
    assert len(table(where)) == 2


def test_two_learners_cannot_both_tell() -> None:
    """The lease goes to somebody else while a label comes: what it changes is not told by the first."""
    where = Bank(plan=LABELLED, pace=Bank().pace._replace(lease_s=1e9))
    put_scored(where, 0, 20)

    async def scenario() -> None:
        stop = asyncio.Event()

        def idle() -> None:
            if where.lease.epoch == 2:
                return
            where.lease.epoch = 2  # taken; the first learner is not told
            put_label(where, label(3))

        learner, _ = where.learner(idle)
        task = asyncio.create_task(learner.run(stop))
        await where.lease.asked_times(2)  # it noticed, and asks for the lease again
        stop.set()
        await asyncio.wait_for(task, 20)

    asyncio.run(scenario())
    assert where.log.of(CONTROL) == []


def test_what_a_woken_learner_still_tells_is_not_taken_and_is_told_over() -> None:
    where = bank()
    put_scored(where, 0, 20)
    put_label(where, label(3))
    asyncio.run(where.killed_when_idle())
    old = newest(where)
    put_label(where, label(3, fraud=None))
    asyncio.run(where.until_idle())
    scorer = table(where)
    assert len(scorer) == 0
    for part in old.values():
        with pytest.raises(ValueError, match="learner epoch 1 is over"):
            scorer.take(part)
        out = seal_part(part, KEY)
        where.log.put(CONTROL, out.value, key=out.key)  # paused before its append, and woken now
    asyncio.run(where.until_idle())
    assert {part.epoch for part in newest(where).values()} == {3}
    assert len(table(where)) == 0


def test_a_part_with_a_flipped_bit_is_passed_over() -> None:
    where = bank()
    put_scored(where, 0, 20)
    put_label(where, label(3))
    asyncio.run(where.killed_when_idle())
    good = where.log.of(CONTROL)[-1]
    value = good.value or b""
    for place in range(0, len(value), 41):
        where.log.put(CONTROL, value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :], key=good.key)
    learner, _ = where.learner(lambda: None)
    found = asyncio.run(learner.newest())
    assert found.parts[open_part(value, KEY).number] == open_part(value, KEY)


def test_the_table_is_told_again_every_minute() -> None:
    where = Bank(plan=LABELLED, pace=Bank().pace._replace(lease_s=1e9))
    put_rows(where.log, features(1, 50))
    put_label(where, label(3))

    async def scenario() -> None:
        stop = asyncio.Event()
        idles = 0

        def idle() -> None:
            nonlocal idles
            idles, where.clock.time = idles + 1, where.clock.time + 20
            if idles == 8:
                stop.set()

        learner, _ = where.learner(idle)
        await asyncio.wait_for(learner.run(stop), 20)

    asyncio.run(scenario())
    told = [part.number for part in parts(where)]
    assert sorted(told) == sorted([*set(told)] * 3)
    assert len({part.sequence for part in parts(where)}) == 1


def test_a_snapshot_never_stands_before_the_table_that_goes_with_it() -> None:
    """A label was there before its row; a window ends behind the row, within the same record."""
    where = bank()
    put_label(where, label(3))

    async def scenario() -> None:
        stop = asyncio.Event()
        idles = 0

        def idle() -> None:
            nonlocal idles
            idles += 1
            if idles == 2:
                put_scored(where, 0, 60)
            if idles == 4:
                stop.set()

        learner, _ = where.learner(idle)
        await asyncio.wait_for(learner.run(stop), 20)

    asyncio.run(scenario())
    keys = [entry.key for entry in where.log.of(CONTROL)]
    assert keys.index(b"model") == len(keys) - 1
    assert len(keys) == 4


def test_of_a_part_found_twice_the_newer_is_gone_on_from() -> None:
    where = bank()
    put_scored(where, 0, 20)
    put_label(where, label(3))
    asyncio.run(where.killed_when_idle())
    (old,) = [entry for entry in where.log.of(CONTROL) if entry.key == table_key(CARD % BUCKETS)]
    put_label(where, label(5))
    asyncio.run(where.killed_when_idle())
    where.log.put(CONTROL, old.value, key=old.key)
    learner, _ = where.learner(lambda: None)
    found = asyncio.run(learner.newest())
    assert found.parts[CARD % BUCKETS].epoch == 2
    assert found.highest_epoch == 2
