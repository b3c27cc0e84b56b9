"""The bank's counters per merchant on their way through a learner: each attempt once, taken up after a crash."""

import asyncio

import msgspec
import numpy as np
from learner_world import KEY, PLAN, Bank, scored

from pipeline.core.entity_count_table import EntityCountTable
from pipeline.core.entity_counts import Definition, Held, unpack
from pipeline.core.features import CATALOGUE
from pipeline.core.scored import decode, encode
from pipeline.core.told import is_told_key, open_told
from pipeline.core.topics import CONTROL, SCORED
from pipeline.roles.learner.course import FeatureSpace

SPACE = FeatureSpace(len(CATALOGUE), "layout-1")
SHOP = 77
SMALL = Definition("merchant", "sum", 86_400, 12_345)


def bank() -> Bank:
    made = Bank(plan=PLAN._replace(merchants=True), space=SPACE)
    made.pace = made.pace._replace(tell_s=0.0)
    return made


def put(where: Bank, first: int, count: int) -> None:
    """``count`` attempts of source offsets from ``first`` on, of which each third counts nothing, each other its offset."""
    offsets = np.arange(first, first + count)
    record = msgspec.structs.replace(
        decode(scored(np.zeros((count, len(CATALOGUE))), first)),
        merchants=np.full(count, SHOP, "<u8").tobytes(), counted_per_entity=(SMALL,),
        hits=np.where(offsets % 3 == 0, np.nan, offsets).astype("<f8").tobytes(),
    )  # fmt: skip
    where.log.put(SCORED, encode(record))


def told(where: Bank) -> float:
    """The shop's sum, as a reader of the whole topic knows it."""
    table, found = EntityCountTable(), 0.0
    for entry in where.log.of(CONTROL):
        if is_told_key(entry.key):
            one = open_told(entry.value or b"", KEY)
            if one.kind == "counters":
                table.take(one)
                for key, row in one.rows.items():
                    if isinstance(held := unpack(key, row), Held):
                        found = sum(number for _, number in held.line)
    assert len(table) == 1
    return found


def total(first: int, end: int) -> int:
    return sum(offset for offset in range(first, end) if offset % 3)


def test_every_attempt_that_counts_is_added_up_once() -> None:
    where = bank()
    put(where, 0, 40)
    put(where, 20, 40)  # a scorer that took over wrote twenty of them again
    figures = asyncio.run(where.until_idle())
    assert told(where) == total(0, 60)
    assert figures["cardwatch_known_entities/counters"] == 1
    assert figures["cardwatch_told_bytes_total/counters"] > 0


def test_a_learner_killed_before_its_first_snapshot_counts_nothing_twice() -> None:
    where = bank()
    put(where, 0, 30)
    asyncio.run(where.killed_when_idle())
    assert told(where) == total(0, 30)
    put(where, 30, 30)
    asyncio.run(where.killed_when_idle())
    assert told(where) == total(0, 60)


def test_a_learner_that_goes_on_from_a_snapshot_goes_on_from_what_was_told() -> None:
    where = bank()
    put(where, 0, 120)
    asyncio.run(where.killed_when_idle())
    assert [entry for entry in where.log.of(CONTROL) if entry.key == b"model"]
    put(where, 100, 50)
    asyncio.run(where.killed_when_idle())
    assert told(where) == total(0, 150)
