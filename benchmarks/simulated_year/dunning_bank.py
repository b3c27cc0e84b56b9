"""The bank that reminds: two workers of the reminder role and two of the contact role on one store, the topics between them.

What one role publishes the other reads, at least once; workers of both die at any step and are replaced.
"""

import asyncio
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.reminder_policy import ReminderPolicy
from pipeline.core.topics import Topic
from pipeline.ports import Record
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.role import ReminderRole
from simulated_year.accounts_log import PARTITIONS, AccountsLog
from simulated_year.agenda import Agenda
from simulated_year.bank import AWAY, BATCH, OUTBOX_WAKES_S, Alone, Bank, Read
from simulated_year.dunning_evidence import DunningEvidence
from simulated_year.dunning_store import WatchedAccounts, WatchedContacts
from simulated_year.evidence import Told
from simulated_year.ledger import local_day
from simulated_year.lines import Line, Reached

CLERKS = 2
TROUBLED_MS = 180_000
"""So long after a trouble everybody looks for what was left behind."""


@dataclass
class Clerk:
    """A worker of the reminder role. ``reads``: its partitions and the offset it reads next; ``planned``: the day it has
    planned."""

    role: ReminderRole
    line: Line
    reads: dict[int, int] = field(default_factory=dict)
    planned: str = ""


class DunningBank(Bank):
    """``away``: nobody reminds, as when the reminder role is down."""

    def __init__(
        self,
        profile: str,
        config: Path,
        agenda: Agenda,
        rng: random.Random,
        evidence: DunningEvidence,
        accounts: AccountsLog,
        policy: ReminderPolicy,
        readers: Sequence[Callable[[Told], None]] = (),
    ) -> None:
        super().__init__(profile, config, agenda, rng, evidence, [self._read_back, *readers])
        self._known = evidence
        self._accounts = accounts
        self._policy = policy
        contacts = MemoryContactStore()
        self.store = WatchedContacts(contacts, evidence)
        self.books = WatchedAccounts(contacts.notes, evidence)
        self._reminding = ReminderMetrics(CollectorRegistry())
        self._requests: list[list[Read]] = [[] for _ in range(PARTITIONS)]
        self._contacts: list[list[Read]] = [[] for _ in range(PARTITIONS)]
        self._requests_read = [0] * PARTITIONS
        self._contacts_read = [0] * PARTITIONS
        self._troubled_ms = 0
        self._marked_ms = 0
        self.clerks: list[Clerk] = []
        self.away = False

    def _read_back(self, told: Told) -> None:
        """What was published, as the other role reads it."""
        logs = {"contact-requests": self._requests, "contacts": self._contacts}.get(told.topic)
        if logs is not None:
            number = zlib.crc32(told.key.encode()) % PARTITIONS
            log = logs[number]
            value = msgspec.json.encode(told.value)
            log.append(Read(value, told.key.encode(), number, len(log), self._agenda.now_ms, ((told.id, b""),)))

    # --- workers

    async def hire_clerk(self) -> None:
        line = Line(self._trouble)
        role = ReminderRole(
            Reached.log(self._log, line, self._rng),
            Reached.store(self.books, line, self._rng),
            self._agenda,
            self._almanac,
            lambda: self._policy,
            self._policy.zone,
            self._reminding,
            self._dead_letter,
        )
        role.tags.whole = True
        role.partitions = PARTITIONS
        for clerk in self.clerks:
            await self._unless_away(clerk.role.revoked(True))
            clerk.reads.clear()
        self.clerks.append(Clerk(role, line))

    async def _dead_letter(self, topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        """A request that nobody read before it expired is on record there; nothing else may be unusable."""
        if (topic.name, field) != ("contact-requests", "expires_at"):
            await super()._dead_letter(topic, record, reason, field, detail)
        self._known.dead.append(msgspec.json.decode(record.value or b"")["id"])

    def dooms(self) -> None:
        if self._rng.random() < 0.5 and self.clerks:
            self._rng.choice(self.clerks).line.left = self._rng.randrange(25)
        else:
            super().dooms()

    def _trouble(self, name: str) -> None:
        self._troubled_ms = self._agenda.now_ms + TROUBLED_MS
        super()._trouble(name)
        for wait_s in OUTBOX_WAKES_S:
            self._agenda.after(60 + wait_s)

    async def _bury_clerks(self) -> bool:
        dead = [clerk for clerk in self.clerks if not clerk.line.alive]
        for clerk in dead:
            self.clerks.remove(clerk)
            self._trouble("a worker killed")
            self._agenda.after(self._rng.uniform(1, 60), self.hire_clerk)
        owned = {number for clerk in self.clerks for number in clerk.reads}
        for number in [number for number in range(PARTITIONS) if number not in owned]:
            if self.clerks:
                clerk = self.clerks[number % len(self.clerks)]
                found = await self._unless_away(clerk.role.load(number, Alone(), "member", 1), -1)
                if found != -1:
                    clerk.reads[number] = found or 0
                    clerk.planned = ""
        return bool(dead)

    # --- a moment's work

    def next_ms(self) -> int | None:
        """When the next thing is due in the stores."""
        moments = [self.store.next_ms(), None if self.away else self.books.next_ms()]
        return min((each for each in moments if each is not None), default=None)

    async def works(self) -> None:
        busy = True
        while busy:
            busy = await self._bury()
            busy = await self._bury_clerks() or busy
            await self._marks()
            done = await asyncio.gather(self._clerks_work(), self._requests_told(), self._contacts_made())
            await asyncio.gather(*(worker.role.work.idle() for worker in self.living))
            busy = busy or any(done) or any(not each.line.alive for each in (*self.living, *self.clerks))

    async def _marks(self) -> None:
        """What there is to read of accounts is read in a moment: so their workers say, as often as time has passed."""
        if self._marked_ms == self._agenda.now_ms or self.away:
            return
        self._marked_ms = self._agenda.now_ms
        for clerk in self.clerks:
            await self._unless_away(clerk.role.measured(dict.fromkeys(clerk.reads, 0), self._agenda.now()))

    async def _contacts_made(self) -> bool:
        now_ms, due_ms = self._agenda.now_ms, self.store.next_ms()
        if (due_ms is None or due_ms > now_ms) and now_ms > self._troubled_ms:
            return False
        begun = await asyncio.gather(*(self._unless_away(worker.role.tick(), 1) for worker in self.living))
        return any(begun)

    async def _requests_told(self) -> bool:
        done = False
        for number, log in enumerate(self._requests):
            while self.living and (records := log[self._requests_read[number] :][:BATCH]):
                done = True
                worker = self.living[number % len(self.living)]
                try:
                    await worker.role.requests(records)
                except AWAY:
                    break
                self._requests_read[number] += len(records)
        return done

    async def _clerks_work(self) -> bool:
        if self.away or not self.clerks:
            return False
        done = await asyncio.gather(*(self._clerk_works(clerk) for clerk in self.clerks), self._heard_back())
        return any(done)

    async def _clerk_works(self, clerk: Clerk) -> bool:
        try:
            done = await self._reads_accounts(clerk)
            now_ms = self._agenda.now_ms
            day = str(local_day(self._policy.zone, now_ms))
            if clerk.planned != day:
                await clerk.role.plan_day()
                clerk.planned = day
            due_ms = self.books.next_ms()
            if (due_ms is not None and due_ms <= now_ms) or now_ms <= self._troubled_ms:
                done = bool(await clerk.role.tick()) or done
        except AWAY:
            return True
        return done

    async def _reads_accounts(self, clerk: Clerk) -> bool:
        done = False
        for number in list(clerk.reads):
            while number in clerk.reads and (records := self._accounts.records[number][clerk.reads[number] :][:BATCH]):
                done = True
                await clerk.role.polled({number: records})
                clerk.reads[number] += len(records)
                for lost in await clerk.role.boundary():
                    clerk.reads.pop(lost, None)
        return done

    async def _heard_back(self) -> bool:
        done = False
        for number, log in enumerate(self._contacts):
            while self.clerks and (records := log[self._contacts_read[number] :][:BATCH]):
                done = True
                clerk = self.clerks[number % len(self.clerks)]
                before = self._known.step
                try:
                    await clerk.role.contacts(records)
                except AWAY:
                    break
                for record in records:
                    if b'"answered"' in (record.value or b""):
                        self._known.answered.setdefault(record.headers[0][0], (before, self._known.step))
                self._contacts_read[number] += len(records)
        return done
