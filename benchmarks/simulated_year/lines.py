"""What a worker reaches of the world, and what may happen on the way: it is killed between any two steps, the store's
answer is lost, the log refuses a record or its acknowledgement is lost."""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.core.topics import Topic
from pipeline.ports import Outgoing, StoreDown
from pipeline.ports_contact import Change, Committed, ContactStore, Kept, Move, Note
from simulated_year.agenda import Agenda
from simulated_year.evidence import Evidence, Told

STORE_SILENT = 0.0003
"""Share of the store's steps whose answer does not come: half of them were made."""
LOG_SILENT = 0.002


class Killed(Exception):
    """The worker is dead: nothing it still does has an effect."""


class Line:
    """Between one worker and the world. ``left``: how many more points it lives; None: until told otherwise."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self.alive = True
        self.left: int | None = None
        self.trouble = trouble

    def point(self) -> None:
        """Before and after everything that a worker does to the world. Raises `Killed`."""
        if self.left is not None and self.alive:
            self.left -= 1
            self.alive = self.left >= 0
        if not self.alive:
            raise Killed


class Reached:
    """``target`` by way of ``line``; ``silent`` of its answers end as ``error``, before or after the step was made."""

    def __init__(self, target: Any, line: Line, rng: random.Random, silent: float = 0.0, error: Any = None) -> None:
        self._target = target
        self._line = line
        self._rng = rng
        self._silent = silent
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._target, name)

        async def made(*args: Any, **more: Any) -> Any:
            self._line.point()
            await asyncio.sleep(0)  # others may come first
            chance = self._rng.random() if self._silent else 1.0
            if chance < self._silent / 2:
                self._line.trouble(f"{self._error.__name__} before the step")
                raise self._error("away")
            result = await call(*args, **more)
            self._line.point()
            if chance < self._silent:
                self._line.trouble(f"{self._error.__name__} after the step")
                raise self._error("the answer was lost")
            return result

        self.__dict__[name] = made
        return made

    @staticmethod
    def store(store: Any, line: Line, rng: random.Random) -> Any:
        return Reached(store, line, rng, STORE_SILENT, StoreDown)

    @staticmethod
    def log(log: Any, line: Line, rng: random.Random) -> Any:
        return Reached(log, line, rng, LOG_SILENT, ConnectionError)


class Watched:
    """A contact store, and when its conversations come due, as those who write to it say."""

    def __init__(self, store: ContactStore) -> None:
        self._store = store
        self._due: dict[str, int] = {}
        self._moments: list[tuple[int, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(
        self,
        changes: Sequence[Change],
        now_ms: int,
        lease_ms: int,
        keep_ms: int,
        move: Move | None = None,
        notes: Sequence[Note] = (),
    ) -> Committed:
        committed = await self._store.commit(changes, now_ms, lease_ms, keep_ms, move, notes)
        if committed.outcome == "stored":
            for change in changes:
                self._comes_due(change.contact, change.due_ms)
        return committed

    async def claim(self, now_ms: int, lease_ms: int, limit: int, others: int = 0) -> Sequence[Kept]:
        found = await self._store.claim(now_ms, lease_ms, limit, others)
        for kept in found:
            self._comes_due(kept.contact, now_ms + lease_ms)
        return found

    def _comes_due(self, contact: str, due_ms: int | None) -> None:
        if due_ms is None:
            self._due.pop(contact, None)
        else:
            self._due[contact] = due_ms
            heapq.heappush(self._moments, (due_ms, contact))

    def next_ms(self) -> int | None:
        """When the next conversation comes due."""
        while self._moments and self._due.get(self._moments[0][1]) != self._moments[0][0]:
            heapq.heappop(self._moments)
        return self._moments[0][0] if self._moments else None


class Published:
    """The Log port: every record goes to ``readers``, as often as it is sent, and once into the evidence."""

    def __init__(self, agenda: Agenda, evidence: Evidence, readers: Sequence[Callable[[Told], None]]) -> None:
        self._agenda = agenda
        self._evidence = evidence
        self._readers = readers
        self._known: set[str] = set()

    async def append(self, topic: Topic, batches: Mapping[int, Sequence[Outgoing]]) -> None:
        raise AssertionError("the contact role sends by key")

    async def append_together(self, batches: Mapping[Topic, Mapping[int, Sequence[Outgoing]]]) -> None:
        raise AssertionError("the contact role sends by key")

    async def send(self, topic: Topic, records: Iterable[Outgoing]) -> None:
        for record in records:
            name = dict(record.headers)["record_id"].decode()
            key = (record.key or b"").decode()
            told = Told(self._agenda.now_ms, topic.name, key, msgspec.json.decode(record.value), name)
            if name in self._known:
                self._evidence.fault("a record published twice")
            else:
                self._known.add(name)
                self._evidence.told.append(told)
            for reader in self._readers:
                reader(told)
