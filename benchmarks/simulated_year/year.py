"""One profile's customers through one stretch of time: builds the world, lets it happen, hands over the evidence."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import structlog

from pipeline.roles.contact import role
from simulated_year.agenda import Agenda
from simulated_year.bank import WORKERS, Bank, Switch
from simulated_year.cardholders import Cardholders
from simulated_year.carriers import Carrier, Faults
from simulated_year.desk import Desk
from simulated_year.evidence import Evidence
from simulated_year.people import Number, Person, Population
from simulated_year.traffic import DAY_MS, Raised, raised_in

CONFIG = Path(__file__).parents[2] / "config"
OVER_DAYS = 10
"""After the last alert: everything has ended by then, or never will."""
LOOK_AGAIN_MS = 250
"""When something is due and nobody did it, somebody looks again after so long."""
KILL_EVERY_S = 18 * 3600.0
VOICE_FAULTS = Faults()
TEXT_FAULTS = Faults(busy=0.01)


class Scope(NamedTuple):
    """What to simulate. ``alerts``: a year, per customer."""

    profile: str
    customers: int
    days: int = 365
    alerts: float = 3.0
    seed: int = 1
    first: date = date(2026, 1, 1)


class Year:
    """The world of one profile."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._rng = random.Random(f"{scope.seed} {scope.profile}")
        start = datetime(scope.first.year, scope.first.month, scope.first.day, tzinfo=UTC) - timedelta(days=1)
        self._agenda = Agenda(round(start.timestamp() * 1000))
        self.evidence = Evidence(scope.profile)
        self._population = Population(scope.profile, self._rng)
        self._people = {person.name: person for person in self._population.people(scope.customers)}
        self.evidence.raised = raised_in(list(self._people.values()), self._rng, scope.first, scope.days, scope.alerts)
        alerts = {raised.id: raised for raised in self.evidence.raised}
        desk = Desk(self._agenda, self._rng, self.evidence, self._people, alerts)
        switch = Switch(self._agenda, self._rng, self.evidence)
        readers = [switch.reads, desk.reads]
        self._bank = Bank(scope.profile, CONFIG, self._agenda, self._rng, self.evidence, readers)
        desk.bank = switch.bank = self._bank
        self._cardholders = Cardholders(self._agenda, self._rng, self.evidence, self._bank)
        self._cardholders.alerts = alerts
        self._connect()

    def _connect(self) -> None:
        day = self._scope.days // 2
        outages = {"sms": (day, 24.0), "voice": (day + 1, 5.0)}
        for name, faults in (("sms", TEXT_FAULTS), ("voice", VOICE_FAULTS)):
            after_days, hours = outages[name]
            from_ms = self._agenda.now_ms + DAY_MS * (1 + after_days)
            away = [(from_ms, from_ms + round(hours * 3_600_000))]
            asked = self._cardholders.asked
            self._bank.carriers[name] = Carrier(self._agenda, self._rng, self.evidence, asked, faults, away)
        self._cardholders.voice, self._cardholders.sms = self._bank.carriers["voice"], self._bank.carriers["sms"]

    async def happens(self) -> Evidence:
        """Everything, to the end."""
        began_s = time.process_time()
        for _ in range(WORKERS):
            await self._bank.hire()
        for person in self._people.values():
            self._tells(person)
        self._plan()
        end_ms = self._agenda.now_ms + (self._scope.days + 1 + OVER_DAYS) * DAY_MS
        while (moment_ms := self._next_ms()) is not None and moment_ms <= end_ms:
            self._agenda.now_ms = moment_ms
            await asyncio.gather(*(act() for act in self._agenda.take()))
            await self._bank.works()
        self.evidence.cpu_s = time.process_time() - began_s
        return self.evidence

    def _next_ms(self) -> int | None:
        moments = [self._agenda.next_ms()]
        due_ms = self._bank.store.next_ms()
        if due_ms is not None and self._bank.living:
            moments.append(due_ms if due_ms > self._agenda.now_ms else self._agenda.now_ms + LOOK_AGAIN_MS)
        return min((moment for moment in moments if moment is not None), default=None)

    def _plan(self) -> None:
        """What comes of itself: alerts, deaths of workers, changes in customers' lives."""
        for raised in self.evidence.raised:
            self._agenda.at(raised.at_ms, lambda raised=raised: self._alerts(raised))
        start_ms = self._agenda.now_ms + DAY_MS
        moment_s = 0.0
        while moment_s < self._scope.days * 86_400:
            moment_s += self._rng.expovariate(1 / KILL_EVERY_S)
            self._agenda.at(start_ms + round(moment_s * 1000), self._dooms)
        for person in self._people.values():
            moment_ms = start_ms + self._rng.randrange(self._scope.days * DAY_MS)
            chance = self._rng.random() / min(1.0, self._scope.days / 365)
            if chance < 0.08:
                self._agenda.at(moment_ms, lambda person=person: self._new_number(person))
            elif chance < 0.10:
                self._agenda.at(moment_ms, lambda person=person: self._other_life(person))
        seen: set[int] = set()
        for raised in self.evidence.raised:
            if raised.takeover and raised.incident not in seen:
                seen.add(raised.incident)
                person = self._people[raised.customer]
                before_ms = raised.at_ms - round(self._rng.uniform(0.1, 5) * DAY_MS)
                self._agenda.at(before_ms, lambda person=person: self._thief(person))
                self._agenda.at(raised.at_ms + 3 * DAY_MS, lambda person=person: self._recovers(person))

    async def _alerts(self, raised: Raised) -> None:
        self._bank.decides(raised)
        if raised.wants == "hold" and not raised.fraud:
            self._cardholders.notices(self._people[raised.customer], raised.card)

    async def _dooms(self) -> None:
        self._bank.dooms()

    # --- customers' lives

    def _tells(self, person: Person) -> None:
        """The bank's record of a customer is published."""
        self._cardholders.knows(person)
        record = person.record()

        def heard() -> None:
            self.evidence.records.append((self._agenda.now_ms, person.name, record))

        self._bank.customer(record, heard)

    def _replaced(self, person: Person, number: Number) -> None:
        person.numbers = [number, *(each for each in person.numbers if each.kind != "mobile")]
        self._tells(person)

    async def _new_number(self, person: Person) -> None:
        """The old number falls silent, and is somebody else's after a while; most tell the bank."""
        for each in person.numbers:
            if each.kind == "mobile":
                each.who = self._rng.choice(["nobody", "stranger"])
        if self._rng.random() < 0.75:
            region = self._population.region_of(person)
            self._replaced(person, self._population.number(region, "mobile", self._agenda.now_ms))

    async def _other_life(self, person: Person) -> None:
        """Moves, dies, or falls ill."""
        change = self._rng.random()
        if change < 0.4:
            person.zone = person.told_zone = self._rng.choice(["America/New_York", "Europe/London", "Asia/Tokyo"])
        elif change < 0.6:
            person.protections.append("deceased")
        else:
            person.protections.append("vulnerable")
        self._tells(person)

    async def _thief(self, person: Person) -> None:
        region = self._population.region_of(person)
        self._replaced(person, self._population.number(region, "mobile", self._agenda.now_ms, "thief"))

    async def _recovers(self, person: Person) -> None:
        region = self._population.region_of(person)
        self._replaced(person, self._population.number(region, "mobile", self._agenda.now_ms))


def simulated(scope: Scope) -> Evidence:
    """One profile's stretch of time. Nobody waits in real time, files are read once, and nothing is logged: killed
    workers would fill the screen."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with (
            patch.object(role, "STORE_RETRY_S", 0.0),
            patch.object(role, "read_profile", cache(role.read_profile)),
            patch.object(role, "read_texts", cache(role.read_texts)),
        ):
            return asyncio.run(Year(scope).happens())
    finally:
        structlog.configure(**before)


def shares(customers: int, profiles: Sequence[str]) -> list[int]:
    """How many customers each profile gets: all the same, the first the rest."""
    each = customers // len(profiles)
    return [customers - each * (len(profiles) - 1), *[each] * (len(profiles) - 1)]
