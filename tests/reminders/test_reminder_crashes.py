"""A worker stops between any two of its steps; another goes on; perhaps the first wakes up again.

Every call a worker makes to store or log is two points at which it may stop: before the call has its effect, and after,
before the worker learns of it. What others read of it, each record once by its id, is the same in the end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from reminder_world import (
    DUE_DAY,
    LATE,
    SOON,
    MemoryLog,
    World,
    numbered,
    own,
    repayment,
    statement,
    step,
    until_done,
)

from pipeline.adapters.memory_accounts import MemoryAccountStore
from pipeline.ports_reminder import AccountChange
from pipeline.roles.reminder.role import ReminderRole

POINTS = 140
"""More than a story has; a test makes sure of it."""
EVENTS = numbered(
    [
        statement(),
        statement(),
        repayment("2026-03-18T00:00:00Z", 5_000),
        statement(
            "2026-03-20T09:00:00Z",
            id="st2",
            due_date="2026-04-20",
            statement_date="2026-03-19",
            time="2026-03-20T01:00:00Z",
        ),
        repayment("2026-03-25T00:00:00Z", 100_000, "pay2"),
    ]
)
CONTACTS = [
    step("completed", "2026-03-17T02:00:30Z"),
    step("answered", "2026-03-20T02:01:00Z", "due", answer="promise", by="2026-03-21"),
]


class Stopper:
    """Lets ``points`` pass, then holds whoever comes until woken."""

    def __init__(self, points: int) -> None:
        self.left = points
        self.stopped = asyncio.Event()
        self.woken = asyncio.Event()

    async def point(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.stopped.set()
            await self.woken.wait()


class Mortal:
    """Everything of ``target``, with a point before and after each call."""

    def __init__(self, target: Any, stopper: Stopper) -> None:
        self._target = target
        self._stopper = stopper

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._target, name)

        async def made(*args: Any, **more: Any) -> Any:
            await self._stopper.point()
            result = await call(*args, **more)
            await self._stopper.point()
            return result

        return made


class UnfencedStore(MemoryAccountStore):
    """A store that takes a change whatever it was read from."""

    async def commit(self, changes: Any, now_ms: int, lease_ms: int, move: Any = None) -> Any:
        as_they_are = [change._replace(before=self._record(change.account)) for change in changes]
        if move is not None:
            move = move._replace(before=self.positions.get(move.partition), after=move.after)
            if move.before == move.after:
                move = None
        return await super().commit(as_they_are, now_ms, lease_ms, move)


class ForgetfulStore(MemoryAccountStore):
    """A store that keeps no outbox."""

    async def commit(self, changes: Any, now_ms: int, lease_ms: int, move: Any = None) -> Any:
        bare: list[AccountChange] = [change._replace(outbox=()) for change in changes]
        return await super().commit(bare, now_ms, lease_ms, move)


async def hear(role: ReminderRole, until: int) -> None:
    """Records of ``accounts`` from where the role is to read on."""
    start = await own(role) or 0
    if start < until:
        await role.polled({0: EVENTS[start:until]})


async def goes_on(world: World, role: ReminderRole) -> None:
    """The whole story from wherever it is; the clock never goes back."""
    for moment, events, contacts in (
        ("2026-03-02T00:00:00Z", 2, 0),
        (SOON, 2, 1),
        ("2026-03-18T01:00:00Z", 3, 1),
        (DUE_DAY, 4, 2),
        (LATE, 4, 2),
        ("2026-03-25T00:00:01Z", 5, 2),
    ):
        if world.clock.now() < at(moment):
            world.clock.set(moment)
        await hear(role, events)
        if moment == SOON:
            await role.plan_day()
        await until_done(role)
        await role.contacts(CONTACTS[:contacts])
        await until_done(role)


def at(moment: str) -> float:
    clock = World().clock
    clock.set(moment)
    return clock.now()


async def played(points: int, wakes: bool, store: MemoryAccountStore) -> tuple[World, bool]:
    """The world when all is over, and whether the first worker was stopped at all."""
    stopper = Stopper(points)
    calm = World(store)
    mortal = World(Mortal(store, stopper), Mortal(calm.log, stopper), calm.clock)
    first, second = mortal.worker(), calm.worker()
    story = asyncio.ensure_future(goes_on(mortal, first))
    stop = asyncio.ensure_future(stopper.stopped.wait())
    await asyncio.wait({story, stop}, return_when=asyncio.FIRST_COMPLETED)
    calm.clock.pass_s(16)
    await goes_on(calm, second)
    calm.clock.pass_s(16)
    await until_done(second)
    if wakes:
        stopper.left = 1_000
        stopper.woken.set()
        await story
        calm.clock.pass_s(16)
        await until_done(second)
    story.cancel()
    stop.cancel()
    return calm, stopper.stopped.is_set()


def facts(world: World) -> tuple[object, ...]:
    """What is in the account in the end, less when it was noted."""
    account = world.account()
    return (
        account.bills,
        account.payments,
        account.promise and account.promise.by,
        [(t.bill, t.stage) for t in account.told],
    )


def test_the_story_has_fewer_points_than_are_tried() -> None:
    assert not asyncio.run(played(POINTS, False, MemoryAccountStore()))[1]
    assert asyncio.run(played(POINTS // 2, False, MemoryAccountStore()))[1]


@pytest.mark.parametrize("wakes", [False, True], ids=["dead", "wakes"])
def test_a_worker_may_stop_between_any_two_steps(wakes: bool) -> None:
    calm = asyncio.run(played(10_000, False, MemoryAccountStore()))[0]
    wanted, account = calm.log.told(), facts(calm)
    assert "-st1/late:" in " ".join(wanted) or "st1/late" in wanted
    for points in range(wakes, POINTS, 1 + wakes):  # one that wakes: after each effect, before it learns of it
        world, _ = asyncio.run(played(points, wakes, MemoryAccountStore()))
        assert sorted(world.log.told()) == sorted(wanted), points
        assert facts(world) == account, points
        assert not world.dead


@pytest.mark.parametrize(("store", "wakes"), [(UnfencedStore, True), (ForgetfulStore, False)])
def test_a_store_that_does_not_hold_its_word_is_found_out(store: type[MemoryAccountStore], wakes: bool) -> None:
    calm = asyncio.run(played(10_000, False, MemoryAccountStore()))[0]
    wanted = sorted(calm.log.told()), facts(calm)
    for points in range(POINTS):
        world, _ = asyncio.run(played(points, wakes, store()))
        if (sorted(world.log.told()), facts(world)) != wanted:
            return
    raise AssertionError("no point of the story shows it")


def test_a_log_that_is_away_loses_nothing() -> None:
    async def story() -> None:
        world = World()
        role = world.worker()
        world.log.down = True
        assert isinstance(world.log, MemoryLog)
        await hear(role, 2)
        world.clock.set(SOON)
        with pytest.raises(ConnectionError):
            await role.tick()
        world.log.down = False
        await until_done(role)
        assert world.log.told() == []
        world.clock.pass_s(6)
        await until_done(role)
        assert world.log.told() == ["st1/soon"]

    asyncio.run(story())
