"""Two workers on one store, stopped before each step that others could come between; what happens next is chosen outside.

Workers wait before they read a note, before they commit, before they publish, and before a carrier hears of an order.
`Races.go_on` lets one of them go on. A crash is a worker gone while it waits.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bill_world import CARD, account
from cascade_world import MORNING, Carrier, cardholder
from contact_world import MemoryLog, Read, SetClock, settings
from prometheus_client import CollectorRegistry

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.account_facts import Account, encode
from pipeline.core.contact_hours import Almanac
from pipeline.core.conversation import Conversation, decode
from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, Record
from pipeline.ports_channels import CallOrder, MessageOrder
from pipeline.ports_contact import Change, Committed, account_note, read_up_to_note
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels
from pipeline.roles.contact.role import ContactRole
from pipeline.roles.contact.settings import ContactSettings

SETTLES = 12
"""Turns of the loop in which whoever can go on does: no step between two waits takes more."""
Seen = Callable[[Conversation | None, Conversation], None]
__all__ = ["CARD", "Races", "account"]


@dataclass
class Gate:
    """Where workers wait. ``waiting``: who, before what, and what lets them go on."""

    waiting: list[tuple[int, str, asyncio.Future[None]]] = field(default_factory=list)
    open: bool = False

    async def wait(self, worker: int, before: str) -> None:
        if self.open:
            return
        future = asyncio.get_running_loop().create_future()
        place = (worker, before, future)
        self.waiting.append(place)
        try:
            await future
        finally:
            self.waiting = [each for each in self.waiting if each is not place]


class WorkersView:
    """The one store, as one worker reaches it. ``committed`` hears of each conversation in the very step that stores it."""

    def __init__(self, store: MemoryContactStore, gate: Gate, worker: int, committed: Seen) -> None:
        self._store = store
        self._gate = gate
        self._worker = worker
        self._committed = committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def note(self, key: str) -> bytes:
        await self._gate.wait(self._worker, "note")
        return await self._store.note(key)

    async def commit(self, changes: Sequence[Change], *args: Any, **more: Any) -> Committed:
        await self._gate.wait(self._worker, "commit")
        before = [self._store.kept.get(change.contact) for change in changes]
        done = await self._store.commit(changes, *args, **more)
        if done.outcome == "stored":
            for change, kept in zip(changes, before, strict=True):
                self._committed(decode(kept.value) if kept else None, decode(change.value))
        return done


@dataclass
class GatedLog(MemoryLog):
    gate: Gate
    worker: int
    sent: dict[str, list[Outgoing]]
    down: bool = False

    async def send(self, topic: Topic, records: Any) -> None:
        await self.gate.wait(self.worker, "publish")
        await super().send(topic, records)


class GatedCarrier(Carrier):
    """``gate`` and ``worker``: of the one that calls."""

    def at(self, gate: Gate, worker: int) -> "GatedCarrier":
        same = GatedCarrier(self.made, reports=self.reports, cancelled=self.cancelled)
        same.gate, same.worker = gate, worker
        return same

    async def _take(self, order: CallOrder | MessageOrder) -> Any:
        await self.gate.wait(self.worker, "carrier")
        return await super()._take(order)


class Means(NamedTuple):
    """What every worker of every run may share."""

    almanac: Almanac
    settings: ContactSettings
    metrics: ContactMetrics


def means_of(config: Path) -> Means:
    return Means(world_almanac(), settings(config), ContactMetrics(CollectorRegistry()))


async def _no_dead_letter(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
    raise AssertionError(f"{topic.name}: {reason}, {detail}")


class Races:
    """Two workers, one store, one log, one carrier of texts and one of calls, one clock."""

    def __init__(self, means: Means, committed: Seen) -> None:
        self.loop = asyncio.new_event_loop()
        self._means = means
        self.store = MemoryContactStore()
        self.clock = SetClock(MORNING)
        self.gate = Gate()
        self.sent: dict[str, list[Outgoing]] = {}
        self.made: list[CallOrder | MessageOrder] = []
        self.texts, self.calls = GatedCarrier(self.made), GatedCarrier(self.made)
        self._committed = committed
        self.workers = [self._worker(number) for number in range(2)]
        self._tasks: list[list[asyncio.Task[Any]]] = [[], []]
        self.begin(0, self.workers[0].customers([cardholder()]))

    def _worker(self, number: int) -> ContactRole:
        return ContactRole(
            GatedLog(self.gate, number, self.sent),
            WorkersView(self.store, self.gate, number, self._committed),
            Channels(self.calls.at(self.gate, number), {"sms": self.texts.at(self.gate, number)}),
            self.clock,
            self._means.almanac,
            self._means.settings,
            self._means.metrics,
            _no_dead_letter,
        )

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def write(self, kept: Account, read: bool = True) -> None:
        """What the reminder role writes in one step."""
        self.store.notes[account_note(kept.id)] = encode(kept)
        if read:
            self.store.notes[read_up_to_note(kept.partition)] = b"%d" % self.now_ms

    def begin(self, worker: int, piece: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have ``worker`` do something, until it waits."""

        async def run() -> asyncio.Task[Any]:
            self._tasks[worker] = [task for task in self._tasks[worker] if not task.done()]
            task = asyncio.get_running_loop().create_task(piece)
            self._tasks[worker].append(task)
            await _settle()
            return task

        return self.loop.run_until_complete(run())

    def go_on(self, number: int) -> None:
        """Let the waiting one of this number (counted round) go on."""
        if self.gate.waiting:
            self.gate.waiting[number % len(self.gate.waiting)][2].set_result(None)
            self.loop.run_until_complete(_settle())

    def crash(self, worker: int) -> None:
        """The worker is gone, and another takes its place."""

        async def run() -> None:
            for task in self._tasks[worker]:
                task.cancel()
            await asyncio.gather(*self._tasks[worker], return_exceptions=True)
            await self.workers[worker].work.stop(0.0)

        self.loop.run_until_complete(run())
        self._tasks[worker] = []
        self.workers[worker] = self._worker(worker)

    def all_go_on(self) -> None:
        """Until nobody waits."""
        while self.gate.waiting:
            self.go_on(0)

    def finish(self, records: Sequence[Read], beats: int) -> None:
        """Nobody waits any more: these records arrive, and for so many minutes all is done that is due."""
        self.gate.open = True
        self.all_go_on()
        worker = self.workers[0]

        async def run() -> None:
            for tasks in self._tasks:
                await asyncio.gather(*tasks)
            for each in self.workers:
                await each.work.idle()
            for record in records:
                await worker.requests([record])
                await worker.work.idle()
            for _ in range(beats):
                self.clock.pass_s(60)
                while await worker.tick():
                    await worker.work.idle()

        self.loop.run_until_complete(run())

    def close(self) -> None:
        self.gate.open = True

        async def run() -> None:
            for tasks in self._tasks:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for each in self.workers:
                await each.work.stop(0.0)

        self.loop.run_until_complete(run())
        self.loop.close()


async def _settle() -> None:
    for _ in range(SETTLES):
        await asyncio.sleep(0)
