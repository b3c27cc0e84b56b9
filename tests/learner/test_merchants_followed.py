"""Merchants on their way from `scored` to every scorer: each attempt once, told by the leader, taken up after a crash."""

import asyncio

import msgspec
import numpy as np
from learner_world import KEY, PLAN, Bank, scored

from pipeline.core.features import CATALOGUE, FEATURES
from pipeline.core.merchant_habits import DAY, PAYMENTS
from pipeline.core.merchant_table import unpacked
from pipeline.core.scored import decode, encode
from pipeline.core.told import Gathered, is_told_key, open_told
from pipeline.core.topics import CONTROL, SCORED
from pipeline.roles.learner.course import FeatureSpace

NAMES = [feature.name for feature in FEATURES]
SPACE = FeatureSpace(len(CATALOGUE), "layout-1")
SHOP, TILL = 77, 99


def bank() -> Bank:
    return Bank(plan=PLAN._replace(merchants=True), space=SPACE)


def put(where: Bank, first: int, count: int, merchant: int = SHOP) -> None:
    """``count`` attempts of source offsets from ``first`` on, at a shop, every fourth at a till of none."""
    matrix = np.zeros((count, len(CATALOGUE)))
    matrix[:, NAMES.index("amount")] = 5_000.0 + np.arange(first, first + count) ** 2
    matrix[:, NAMES.index("new_merchant")] = 1.0  # so that each is news
    there = np.where(np.arange(first, first + count) % 4 == 3, 0, merchant).astype("<u8")
    record = msgspec.structs.replace(
        decode(scored(matrix, first)), merchants=there.tobytes(), terminals=np.full(count, TILL, "<u8").tobytes()
    )
    where.log.put(SCORED, encode(record))


def gathered(where: Bank) -> Gathered:
    """What a reader of the whole topic was told."""
    found = Gathered()
    for entry in where.log.of(CONTROL):
        if is_told_key(entry.key):
            found.take(open_told(entry.value or b"", KEY))
    return found


def known(where: Bank) -> dict[int, tuple[float, int]]:
    """Merchant → amounts learned and attempts of that day, as told."""
    rows = gathered(where).rows
    lines = unpacked(rows)
    return {entity: (line[PAYMENTS], round(line[DAY])) for entity, line in zip(rows, lines.tolist(), strict=True)}


def test_every_attempt_is_learned_once_by_merchant_or_else_by_terminal() -> None:
    where = bank()
    put(where, 0, 40)
    put(where, 20, 40)  # a scorer that took over wrote twenty of them again
    figures = asyncio.run(where.until_idle())
    once = bank()
    put(once, 0, 60)
    asyncio.run(once.until_idle())
    assert gathered(where).rows == gathered(once).rows
    assert known(where) == {
        SHOP: (45.0, 45),
        TILL: (15.0, 15),
    }
    assert figures["cardwatch_known_entities/merchants"] == 2
    assert figures["cardwatch_told_bytes_total/merchants"] > 0


def test_a_learner_killed_before_its_first_snapshot_counts_nothing_twice() -> None:
    where = bank()
    put(where, 0, 40)
    where.pace = where.pace._replace(tell_s=0.0)
    asyncio.run(where.killed_when_idle())
    assert not [entry for entry in where.log.of(CONTROL) if not is_told_key(entry.key)], "no window was full"
    before = known(where)
    assert before[SHOP][0] == 30
    put(where, 40, 40)
    asyncio.run(where.killed_when_idle())
    assert known(where) == {
        SHOP: (60.0, 60),
        TILL: (20.0, 20),
    }


def test_a_snapshot_goes_with_all_that_is_to_be_told_by_then() -> None:
    where = bank()
    where.pace = where.pace._replace(tell_s=1e9, labels_s=1e9)
    put(where, 0, 49)
    put(where, 49, 1)
    asyncio.run(where.killed_when_idle())
    keys = [entry.key for entry in where.log.of(CONTROL)]
    assert keys[-1] == b"model"
    assert known(where)[SHOP][0] == 38
    put(where, 50, 50, merchant=78)
    asyncio.run(where.killed_when_idle())
    assert known(where)[78][0] == 37
