"""The counts of what reached whom, in memory and in Redis: increments of several workers add up, periods stand apart."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.adapters.memory_reach import MemoryReach
from pipeline.adapters.redis import reach as module
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.reach import KEEP_MS, MAX_ARMS, RedisReach
from pipeline.adapters.redis.rights import RIGHTS
from pipeline.core.reach import Arm, Tally
from pipeline.embedded.store import EmbeddedStore
from pipeline.ports import StoreDown
from pipeline.ports_contact import Reach

SMS, HOME = Arm("fraud/CN/zh/2", "sms"), Arm("fraud/CN/zh/2", "voice:home")
OTHERS = Arm("fraud/CN/en/2", "sms")
_numbers = itertools.count()


@pytest.fixture(params=["memory", "redis"])
def run(request: pytest.FixtureRequest, valkey: EmbeddedStore) -> Callable[[Callable[[Reach], Awaitable[None]]], None]:
    def on(story: Callable[[Reach], Awaitable[None]]) -> None:
        async def go() -> None:
            if request.param == "memory":
                await story(MemoryReach())
                return
            async with connect(valkey.url) as client:
                await story(RedisReach(client, f"reach{next(_numbers)}-"))

        asyncio.run(go())

    return on


def test_increments_add_up_and_arms_and_periods_stand_apart(
    run: Callable[[Callable[[Reach], Awaitable[None]]], None],
) -> None:
    async def story(reach: Reach) -> None:
        await asyncio.gather(
            *(reach.add(7, {SMS: Tally(1, 1), HOME: Tally(0, 1)}) for _ in range(20)),
            reach.add(6, {SMS: Tally(2, 5)}),
            reach.add(7, {}),
        )
        found = await reach.counts([7, 6, 5], [SMS, HOME, OTHERS])
        assert found == {
            SMS: [Tally(20, 20), Tally(2, 5), Tally()],
            HOME: [Tally(0, 20), Tally(), Tally()],
            OTHERS: [Tally()] * 3,
        }
        assert await reach.counts([7], []) == {}

    run(story)


def test_many_arms_are_read_in_pieces(run: Callable[[Callable[[Reach], Awaitable[None]]], None]) -> None:
    arms = [Arm(f"fraud//{number}/1", "sms") for number in range(2 * MAX_ARMS + 1)]

    async def story(reach: Reach) -> None:
        await reach.add(1, dict.fromkeys(arms[::2], Tally(1, 3)))
        found = await reach.counts([1, 0], arms)
        assert list(found) == arms
        assert [found[arm][0] for arm in arms] == [Tally(1, 3) if n % 2 == 0 else Tally() for n in range(len(arms))]

    run(story)


def test_redis_forgets_a_period_some_time_after_it_counts_for_nothing(valkey: EmbeddedStore) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            await RedisReach(client, "kept-").add(3, {SMS: Tally(1, 1)})
            assert KEEP_MS - 60_000 < await client.pttl("kept-contact:reach:3") <= KEEP_MS

    asyncio.run(go())


def test_the_scripts_need_no_right_that_the_contact_role_has_not() -> None:
    used = {name.lower() for name in re.findall(r"redis\.call\('([A-Z]+)'", Path(str(module.__file__)).read_text())}
    assert used
    assert used <= set(RIGHTS["contact"].commands)


def test_a_server_that_is_away_says_so() -> None:
    async def go() -> None:
        async with connect("redis://127.0.0.1:1/0") as client:
            reach = RedisReach(client)
            for call in (reach.add(1, {SMS: Tally(1, 1)}), reach.counts([1], [SMS])):
                with pytest.raises(StoreDown):
                    await call

    asyncio.run(go())
