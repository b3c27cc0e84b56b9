"""One profile's bills and reminders through one stretch of time: builds the world, lets it happen, hands over the evidence."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from functools import cache
from typing import NamedTuple
from unittest.mock import patch

import structlog

from pipeline.adapters.almanac import world_almanac
from pipeline.core.reminder_policy import ReminderPolicy, read_reminders
from pipeline.roles.contact import feeds, request_reader
from pipeline.roles.contact import role as contact_role
from pipeline.roles.reminder import answers
from pipeline.roles.reminder import role as reminder_role
from simulated_year.accounts_log import AccountsLog
from simulated_year.agenda import Act, Agenda, nothing
from simulated_year.bank import WORKERS
from simulated_year.carriers import Carrier
from simulated_year.debtors import Debtors
from simulated_year.dunning_bank import CLERKS, DunningBank
from simulated_year.dunning_evidence import Away, DunningEvidence
from simulated_year.ledger import DAY_MS
from simulated_year.lender import BANK_ZONES, Lender
from simulated_year.people import Number, Person, Population
from simulated_year.year import CONFIG, KILL_EVERY_S, LOOK_AGAIN_MS, TEXT_FAULTS, VOICE_FAULTS

CALENDARS = {"cn": "CN", "us": "US", "uk": "GB", "eu": "DE", "in": "IN"}
GRAIN_MS = 300_000
"""What happens within five minutes happens at their end, in any order: a year has millions of other moments."""
PROTECTED = 0.02
"""Of customers, in a year: breathing space or hardship for sixty days, death or frailty for good."""


class DunningScope(NamedTuple):
    """What to simulate."""

    profile: str
    customers: int
    days: int = 365
    seed: int = 1
    first: date = date(2026, 1, 1)


class Coarsely(Agenda):
    """An agenda of few moments."""

    def at(self, moment_ms: int, act: Act = nothing) -> None:
        super().at(-(-moment_ms // GRAIN_MS) * GRAIN_MS, act)


def plan_text(profile: str) -> str:
    """The delivered plan, by the clock and holidays of the profile's bank."""
    text = (CONFIG / "policies" / "reminders.toml").read_text(encoding="utf-8")
    text = re.sub(r'^zone = "[^"]*"', f'zone = "{BANK_ZONES[profile]}"', text, flags=re.MULTILINE)
    return re.sub(r'^calendar = "[^"]*"', f'calendar = "{CALENDARS[profile]}"', text, flags=re.MULTILINE)


class DunningYear:
    """The world of one profile."""

    def __init__(self, scope: DunningScope) -> None:
        self._scope = scope
        self._rng = rng = random.Random(f"{scope.seed} {scope.profile} reminders")
        start = datetime(scope.first.year, scope.first.month, scope.first.day, tzinfo=UTC)
        self._agenda = agenda = Coarsely(round(start.timestamp() * 1000) - DAY_MS)
        self.evidence = evidence = DunningEvidence(scope.profile)
        policy = read_reminders(plan_text(scope.profile), "reminders.toml", world_almanac())
        self._population = Population(scope.profile, rng)
        self._people = self._population.people(scope.customers)
        log = AccountsLog(agenda, rng, evidence)
        self._lender = Lender(scope.profile, agenda, rng, evidence, log, policy.terms("card").tolerance)
        self._bank = DunningBank(scope.profile, CONFIG, agenda, rng, evidence, log, policy)
        self._debtors = Debtors(agenda, rng, evidence, self._bank, self._lender)
        self._connect(policy)

    def _connect(self, policy: ReminderPolicy) -> None:
        for person in self._people:
            if self._rng.random() < 0.9:
                person.consent["automated_calls"] = self._rng.random() < 0.93
        day = self._scope.days // 2
        for name, faults, after_days, hours in (("sms", TEXT_FAULTS, day, 24.0), ("voice", VOICE_FAULTS, day + 1, 5.0)):
            from_ms = self._agenda.now_ms + DAY_MS * (1 + after_days)
            away = [(from_ms, from_ms + round(hours * 3_600_000))]
            asked = self._debtors.asked
            self._bank.carriers[name] = Carrier(self._agenda, self._rng, self.evidence, asked, faults, away)
        self._debtors.voice, self._debtors.sms = self._bank.carriers["voice"], self._bank.carriers["sms"]

    async def happens(self) -> DunningEvidence:
        """Everything, to the end."""
        began_s = time.process_time()
        for _ in range(WORKERS):
            await self._bank.hire()
        for _ in range(CLERKS):
            await self._bank.hire_clerk()
        for person in self._people:
            self._tells(person)
        self._lender.opens(self._people, self._scope.first, self._scope.days)
        self._plan()
        end_ms = self._agenda.now_ms + (self._scope.days + 1) * DAY_MS
        while (moment_ms := self._next_ms()) is not None and moment_ms <= end_ms:
            self._agenda.now_ms = moment_ms
            for act in self._agenda.take():
                await act()
            await self._bank.works()
        self.evidence.cpu_s = time.process_time() - began_s
        return self.evidence

    def _next_ms(self) -> int | None:
        moments = [self._agenda.next_ms()]
        due_ms = self._bank.next_ms()
        if due_ms is not None:
            due_ms = -(-due_ms // GRAIN_MS) * GRAIN_MS
            moments.append(due_ms if due_ms > self._agenda.now_ms else self._agenda.now_ms + LOOK_AGAIN_MS)
        return min((moment for moment in moments if moment is not None), default=None)

    # --- what comes of itself

    def _plan(self) -> None:
        scope, rng, start_ms = self._scope, self._rng, self._agenda.now_ms + DAY_MS
        moment_s = 0.0
        while moment_s < scope.days * 86_400:
            moment_s += rng.expovariate(1 / KILL_EVERY_S)
            self._agenda.at(start_ms + round(moment_s * 1000), self._dooms)
        for day in (scope.days // 3, scope.days * 2 // 3 + 5):  # a whole day in which nobody reminds
            from_ms = start_ms + day * DAY_MS + 3_600_000 * rng.randrange(24)
            until_ms = from_ms + DAY_MS
            self.evidence.away.append(Away(from_ms, until_ms))
            self._agenda.at(from_ms, self._goes_away)
            self._agenda.at(until_ms, self._comes_back)
        for person in self._people:
            moment_ms = start_ms + rng.randrange(scope.days * DAY_MS)
            chance = rng.random() / min(1.0, scope.days / 365)
            if chance < 0.08:
                self._agenda.at(moment_ms, lambda person=person: self._new_number(person))
            elif chance < 0.08 + PROTECTED:
                self._agenda.at(moment_ms, lambda person=person: self._protected(person))

    async def _dooms(self) -> None:
        self._bank.dooms()

    async def _goes_away(self) -> None:
        self.evidence.fault("nobody reminds for a day")
        self._bank.away = True

    async def _comes_back(self) -> None:
        self._bank.away = False

    def _tells(self, person: Person) -> None:
        """The bank's record of a customer is published."""
        self._debtors.knows(person)
        record = person.record()

        def heard() -> None:
            self.evidence.records.append((self._agenda.now_ms, person.name, record))

        self._bank.customer(record, heard)

    async def _new_number(self, person: Person) -> None:
        """The old number falls silent, or is somebody else's; most tell the bank."""
        for each in person.numbers:
            if each.kind == "mobile":
                each.who = self._rng.choice(["nobody", "stranger"])
        if self._rng.random() < 0.75:
            region = self._population.region_of(person)
            number: Number = self._population.number(region, "mobile", self._agenda.now_ms)
            person.numbers = [number, *(each for each in person.numbers if each.kind != "mobile")]
            self._tells(person)

    async def _protected(self, person: Person) -> None:
        name = self._rng.choice(["deceased", "vulnerable", "breathing_space", "breathing_space", "hardship"])
        person.protections.append(name)
        self._tells(person)
        if name in ("breathing_space", "hardship"):
            self._agenda.after(60 * 86_400.0, lambda: self._free_again(person, name))

    async def _free_again(self, person: Person, name: str) -> None:
        person.protections.remove(name)
        self._tells(person)


@contextmanager
def quickly() -> Iterator[None]:
    """Nobody waits in real time, files are read once, and nothing is logged: killed workers would fill the screen."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with ExitStack() as stack:
            for module in (contact_role, feeds, request_reader, answers, reminder_role):
                stack.enter_context(patch.object(module, "STORE_RETRY_S", 0.0))
            stack.enter_context(patch.object(contact_role, "read_profile", cache(contact_role.read_profile)))
            stack.enter_context(patch.object(contact_role, "read_texts", cache(contact_role.read_texts)))
            yield
    finally:
        structlog.configure(**before)


def reminded(scope: DunningScope) -> DunningEvidence:
    """One profile's stretch of time."""
    with quickly():
        return asyncio.run(DunningYear(scope).happens())
