"""The bank's side: two workers of the contact role on one store, the decisions they read, the switch they command.

Workers die at any step and are replaced; what came from outside and was not confirmed comes again.
"""

import asyncio
import random
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from prometheus_client import CollectorRegistry

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Answered
from pipeline.core.topics import Topic
from pipeline.ports import Record, StoreDown
from pipeline.ports_channels import CallReport
from pipeline.roles.contact.circuit import Guard, GuardedChannel, GuardedProvider
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.orders import Channels
from pipeline.roles.contact.role import ContactRole
from pipeline.roles.contact.settings import ContactSettings
from simulated_year.agenda import Agenda
from simulated_year.carriers import Carrier
from simulated_year.evidence import Evidence, Told
from simulated_year.lines import Killed, Line, Published, Reached, Watched
from simulated_year.traffic import Raised

PARTITIONS = 2
WORKERS = 2
BATCH = 100
AWAY = (Killed, StoreDown, ConnectionError)
AGAIN_S = (3.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
"""When what was not confirmed is reported again; the last of them over and over."""
OUTBOX_WAKES_S = (5.2, 11.0, 17.0)
"""After a trouble somebody looks for records that were left behind."""
T = TypeVar("T")


@dataclass
class Read:
    """A record as read from a log."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Worker:
    """``reads``: the partitions it owns and the offset it reads next."""

    role: ContactRole
    line: Line
    reads: dict[int, int] = field(default_factory=dict)


class Alone:
    """The Membership port of a worker nobody doubts."""

    async def proven(self, partition: int) -> bool:
        return True


class Bank:
    """``readers`` see every record that is published, as often as it is."""

    def __init__(
        self,
        profile: str,
        config: Path,
        agenda: Agenda,
        rng: random.Random,
        evidence: Evidence,
        readers: Sequence[Callable[[Told], None]],
    ) -> None:
        self._settings = ContactSettings(
            callback_secret="of a bank that does not exist",  # type: ignore[arg-type] # pydantic makes it a secret
            contact_key="of a bank that does not exist either",  # type: ignore[arg-type] # the same
            callback_port=0,
            config_dir=config,
            contact_profile=profile,
        )
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._almanac = world_almanac()
        self._metrics = ContactMetrics(CollectorRegistry())
        self.store = Watched(MemoryContactStore())
        self._log = Published(agenda, evidence, [self._timed, *readers])
        self._decisions: list[list[Read]] = [[] for _ in range(PARTITIONS)]
        self._sources = [0] * PARTITIONS
        self._arrived_s = time.perf_counter()
        self.carriers: dict[str, Carrier] = {}
        self.living: list[Worker] = []

    # --- workers

    async def hire(self) -> None:
        """One more worker; the partitions are dealt anew."""
        line = Line(self._trouble)
        voice = GuardedProvider(Reached(self.carriers["voice"], line, self._rng), Guard(self._agenda))
        texts = GuardedChannel(Reached(self.carriers["sms"], line, self._rng), Guard(self._agenda))
        role = ContactRole(
            Reached.log(self._log, line, self._rng),
            Reached.store(self.store, line, self._rng),
            Channels(voice, {"sms": texts}),
            self._agenda,
            self._almanac,
            self._settings,
            self._metrics,
            self._dead_letter,
        )
        for worker in self.living:
            await self._unless_away(worker.role.boundary())
            await self._unless_away(worker.role.revoked(True))
            worker.reads.clear()
        self.living.append(Worker(role, line))

    async def _dead_letter(self, topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        raise AssertionError(f"nothing here is unusable, and yet: {topic.name} {reason} {detail}")

    def dooms(self) -> None:
        """A worker will die at one of its next steps."""
        if self.living:
            self._rng.choice(self.living).line.left = self._rng.randrange(25)

    def _trouble(self, name: str) -> None:
        self._evidence.fault(name)
        for wait_s in OUTBOX_WAKES_S:
            self._agenda.after(wait_s)

    async def _bury(self) -> bool:
        """Whether somebody had died. The survivor takes over; a new worker comes soon."""
        dead = [worker for worker in self.living if not worker.line.alive]
        for worker in dead:
            self.living.remove(worker)
            await worker.role.work.idle()
            self._trouble("a worker killed")
            self._agenda.after(self._rng.uniform(1, 60), self.hire)
        owned = {number for worker in self.living for number in worker.reads}
        for number in [number for number in range(PARTITIONS) if number not in owned]:
            if self.living:
                worker = self.living[number % len(self.living)]
                found = await self._unless_away(worker.role.load(number, Alone(), "member", 1), -1)
                if found != -1:
                    worker.reads[number] = found or 0
        return bool(dead)

    async def _unless_away(self, step: Awaitable[T], otherwise: Any = None) -> T | Any:
        try:
            return await step
        except AWAY:
            return otherwise

    # --- decisions

    def decides(self, raised: Raised) -> None:
        """A decision is published; sometimes the scorer repeats some, or a payment is sent to it again."""
        number = zlib.crc32(raised.card.encode()) % PARTITIONS
        log = self._decisions[number]
        self._append(number, raised.decision(), raised.card, raised.wants)
        if self._rng.random() < 0.01:
            self._evidence.fault("decisions written again")
            for again in log[-self._rng.randrange(1, 4) :]:
                log.append(Read(again.value, again.key, number, len(log), again.timestamp, again.headers))
        if self._rng.random() < 0.003:
            self._evidence.fault("a payment sent to the scorer again")
            self._append(number, raised.decision(), raised.card, raised.wants)

    def _append(self, number: int, value: bytes, card: str, outcome: str) -> None:
        source, self._sources[number] = self._sources[number], self._sources[number] + 1
        log, now_ms = self._decisions[number], self._agenda.now_ms
        headers = (
            ("source_offset", b"%d" % source),
            ("source_timestamp", b"%d" % now_ms),
            ("outcome", outcome.encode()),
        )
        log.append(Read(value, card.encode(), number, len(log), now_ms, headers))

    async def works(self) -> None:
        """Read what was decided and do what is due, until nothing is left to do now."""
        busy = True
        while busy:
            busy = await self._bury()
            await asyncio.gather(*(self._reads(worker) for worker in self.living))
            begun = await asyncio.gather(*(self._unless_away(worker.role.tick(), 1) for worker in self.living))
            await asyncio.gather(*(worker.role.work.idle() for worker in self.living))
            busy = busy or any(begun) or any(not worker.line.alive for worker in self.living)

    async def _reads(self, worker: Worker) -> None:
        for number in list(worker.reads):
            while records := self._decisions[number][worker.reads[number] :][:BATCH]:
                try:
                    await worker.role.polled({number: records})
                except AWAY:
                    return
                worker.reads[number] += len(records)
        for number in await self._unless_away(worker.role.boundary(), ()):
            worker.reads.pop(number, None)

    # --- what comes from outside

    def report(self, report: CallReport, heard: Callable[[], None] | None = None) -> None:
        self._deliver(lambda role: role.reported(report), heard)

    def reply(self, number: str, text: str, message: str, heard: Callable[[], None]) -> None:
        self._deliver(lambda role: role.replied("sms", number, text, message), heard)

    def answer(self, contact: str, answered: Answered, heard: Callable[[], None]) -> None:
        self._deliver(lambda role: role.answered(contact, answered), heard)

    def customer(self, record: dict[str, Any], heard: Callable[[], None]) -> None:
        value = Read(msgspec.json.encode(record), record["customer"].encode())
        self._deliver(lambda role: role.customers([value]), heard)

    def acknowledges(self, command: str, done: bool) -> None:
        """The switch answers a command."""
        value = Read(msgspec.json.encode({"id": command, "done": done, "time": "2026-01-01T00:00:00Z"}))
        self._deliver(lambda role: role.results([value]), None)

    async def shown(self, card: str) -> tuple[str, Sequence[str]] | None:
        """What a front end shows of the card's open conversation: its name and the alerts not yet spoken about."""
        if not self.living:
            return None
        found = await self._unless_away(self._rng.choice(self.living).role.open_for(card))
        return (found.id, found.unsettled) if found is not None else None

    def _deliver(
        self, step: Callable[[ContactRole], Awaitable[Any]], heard: Callable[[], None] | None, tries: int = 0
    ) -> None:
        async def delivered() -> None:
            if self.living:
                self._arrived_s = time.perf_counter()
                try:
                    await step(self._rng.choice(self.living).role)
                except AWAY:
                    pass
                else:
                    if heard is not None:
                        heard()
                    return
            wait_s = AGAIN_S[min(tries, len(AGAIN_S) - 1)]
            self._agenda.after(wait_s, again)

        async def again() -> None:
            self._deliver(step, heard, tries + 1)

        self._agenda.after(0, delivered)

    def _timed(self, told: Told) -> None:
        if told.topic == "card-commands" and told.value["command"] == "release":
            self._evidence.measured_s.append(time.perf_counter() - self._arrived_s)


class Switch:
    """Carries out commands in the order of their numbers: a lower one than the last is void. Acknowledges releases."""

    def __init__(self, agenda: Agenda, rng: random.Random, evidence: Evidence) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._last: dict[str, int] = {}
        self.bank: Bank | None = None

    def reads(self, told: Told) -> None:
        if told.topic != "card-commands":
            return
        card, sequence = told.key, told.value["sequence"]
        done = sequence >= self._last.get(card, 0)
        self._last[card] = max(sequence, self._last.get(card, 0))
        if told.value["command"] != "release":
            return
        if self._rng.random() < 0.003:
            self._evidence.fault("the switch says nothing")
            return
        for _ in range(2 if self._rng.random() < 0.01 else 1):
            self._agenda.after(self._rng.uniform(0.2, 3), lambda: self._acknowledges(told.value["id"], done))

    async def _acknowledges(self, command: str, done: bool) -> None:
        assert self.bank is not None, "the lines are connected"
        self.bank.acknowledges(command, done)
