"""A worker stops between any two of its steps; another goes on; perhaps the first wakes up again.

Every call a worker makes to store, log or provider is two points at which it may stop: before the call has its effect,
and after, before the worker learns of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from contact_world import RecordingProvider, SetClock, World, customer, decision, own, until_done

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import contact_id
from pipeline.ports_contact import Change
from pipeline.roles.contact.role import ContactRole

CONTACT = contact_id("tok_card_0001", "tx1")
RECORDS = [decision("tx0", "approve", 0), decision("tx1", "hold", 1), decision("tx2", "approve", 2)]
POINTS = 60
"""More than a story has; a test makes sure of it."""


class Stopper:
    """Lets ``points`` pass, then holds whoever comes until `wake`."""

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


class UnfencedStore(MemoryContactStore):
    """A store that takes a change whatever it was read from."""

    def _is_stale(self, change: Change) -> bool:
        return False

    async def commit(
        self, changes: Any, now_ms: int, lease_ms: int, keep_ms: int, move: Any = None, notes: Any = ()
    ) -> Any:
        self.notes.update((note.key, note.after) for note in notes)
        return await super().commit(changes, now_ms, lease_ms, keep_ms, None)


async def worker_story(role: ContactRole, provider: RecordingProvider) -> None:
    await own(role)
    await role.polled({0: RECORDS})
    await until_done(role)
    await deliver(role, provider)
    await role.boundary()
    await until_done(role)


async def deliver(role: ContactRole, provider: RecordingProvider) -> None:
    """The first call is not answered, later ones are: yes. The provider reports until it is heard."""
    for number, key in enumerate(list(provider.rings)):
        status, digits = ("no_answer", None) if number == 0 else ("completed", "1")
        await role.reported(provider.ended(key, status, digits))
        await until_done(role)


async def played(points: int, wakes: bool, store: MemoryContactStore) -> tuple[World, bool]:
    """The world when all is over, and whether the first worker was stopped at all."""
    stopper = Stopper(points)
    calm = World(store)
    log, provider, clock = calm.log, calm.provider, SetClock()
    calm.clock = clock
    mortal = World(Mortal(store, stopper), Mortal(log, stopper), Mortal(provider, stopper), clock)  # type: ignore[arg-type]
    second = calm.worker()
    await second.customers([customer()])
    first = mortal.worker()
    story = asyncio.ensure_future(worker_story(first, provider))
    stop = asyncio.ensure_future(stopper.stopped.wait())
    await asyncio.wait({story, stop}, return_when=asyncio.FIRST_COMPLETED)
    clock.pass_s(16)

    position = await own(second)
    await second.polled({0: [record for record in RECORDS if record.offset >= (position or 0)]})
    for _ in range(8):
        await until_done(second)
        await deliver(second, provider)
        clock.pass_s(61)
    if wakes:
        stopper.left = 1_000
        stopper.woken.set()
        await story
        await first.work.idle()
        clock.pass_s(61)
        await until_done(second)
    story.cancel()
    stop.cancel()
    return calm, stopper.stopped.is_set()


def faults(world: World) -> list[str]:
    """What went wrong, in words."""
    store, log, provider = world.store, world.log, world.provider
    found = []
    if sorted(log.commands()) != ["hold", "release"]:
        found.append(f"commands {log.commands()}")
    if [label["transaction"] for label in log.values("labels")] != ["tx1"]:
        found.append("labels")
    if {step["contact"] for step in log.values("contacts")} != {CONTACT}:
        found.append("more than one conversation")
    if log.steps().count("completed") != 1 or store.open or store.due:
        found.append("it did not end")
    if any(rings != 1 for rings in provider.rings.values()) or len(provider.rings) != 2:
        found.append(f"rings {provider.rings}")
    if store.outbox:
        found.append("records left behind")
    for records in log.sent.values():
        values = {(dict(record.headers)["record_id"], record.value) for record in records}
        if len(values) != len({name for name, _ in values}):
            found.append("a repeated record differs")
    return found


@pytest.mark.parametrize("wakes", [False, True], ids=["killed", "woken"])
def test_wherever_a_worker_stops_the_conversation_ends_as_if_it_had_not(wakes: bool) -> None:
    async def every_point() -> None:
        for points in range(POINTS):
            world, stopped = await played(points, wakes, MemoryContactStore())
            assert faults(world) == [], f"stopped after {points} points"
            if not stopped:
                assert points > 20
                return
        raise AssertionError("the story has more points than were tried")

    asyncio.run(every_point())


def test_without_the_store_comparing_versions_the_same_stories_go_wrong() -> None:
    async def every_point() -> list[str]:
        worlds = [await played(points, True, UnfencedStore()) for points in range(0, POINTS, 4)]
        return [fault for world, _ in worlds for fault in faults(world)]

    assert asyncio.run(every_point())
