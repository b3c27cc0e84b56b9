"""The agents: they take up what is handed to people, by daylight of the customer, and try up to three times."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.core.conversation import Answered
from simulated_year.agenda import Agenda
from simulated_year.bank import Bank
from simulated_year.evidence import Case, Evidence, Said, Told
from simulated_year.people import Person
from simulated_year.traffic import Raised

OPENS, CLOSES = 8, 20
TRIES = 3
QUEUE_S = 600.0
"""How long a case waits for a free agent, on average."""
REACHED = 0.6
"""Agents try every number and ask who is there; a thief gets nothing out of them."""


class Desk:
    """Reads ``contacts``; answers as an agent does, after a talk of some minutes."""

    def __init__(
        self,
        agenda: Agenda,
        rng: random.Random,
        evidence: Evidence,
        people: Mapping[str, Person],
        alerts: Mapping[str, Raised],
    ) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._people = people
        self._alerts = alerts
        self._taken: set[str] = set()
        self._read: set[str] = set()
        self.bank: Bank | None = None

    def reads(self, told: Told) -> None:
        if told.topic != "contacts" or told.value["step"] != "escalated" or told.id in self._read:
            return
        self._read.add(told.id)
        contact = told.value["contact"]
        if contact not in self._taken:
            self._taken.add(contact)
            card = self._alerts[told.value["subject"]["alert"]].card
            self._waits(contact, card, self._rng.expovariate(1 / QUEUE_S), TRIES)

    def _waits(self, contact: str, card: str, seconds: float, tries: int) -> None:
        zone = ZoneInfo(self._people[card.removeprefix("tok_").rpartition("_")[0]].zone)
        local = datetime.fromtimestamp(self._agenda.now_ms / 1000 + seconds, zone)
        if not OPENS <= local.hour < CLOSES:
            day = local.date() + timedelta(days=local.hour >= CLOSES)
            minute = self._rng.randrange(90)
            local = datetime(day.year, day.month, day.day, OPENS + minute // 60, minute % 60, tzinfo=zone)
        self._agenda.at(round(local.timestamp() * 1000), lambda: self._takes(contact, card, tries))

    async def _takes(self, contact: str, card: str, tries: int) -> None:
        assert self.bank is not None, "the lines are connected"
        shown = await self.bank.shown(card)
        if shown is None or shown[0] != contact:  # it ended meanwhile
            self._taken.discard(contact)
            return
        reached = self._rng.random() < REACHED
        self._evidence.cases.append(Case(self._agenda.now_ms, contact, reached))
        if reached:
            self._agenda.after(self._rng.uniform(60, 240), lambda: self._answers(contact, card))
        elif tries > 1:
            self._waits(contact, card, self._rng.uniform(3600, 5 * 3600), tries - 1)
        else:
            self._taken.discard(contact)

    async def _answers(self, contact: str, card: str) -> None:
        """Asks about all that stands on the screen when the talk ends."""
        assert self.bank is not None, "the lines are connected"
        self._taken.discard(contact)
        shown = await self.bank.shown(card)
        if shown is None or shown[0] != contact:
            return
        alerts = shown[1]
        if self._rng.random() < 0.01:
            self._says(contact, [], "complaint")
        self._says(contact, alerts, "no" if any(self._alerts[name].fraud for name in alerts) else "yes")

    def _says(self, contact: str, alerts: list[str] | tuple[str, ...], word: str) -> None:
        said = Said(self._agenda.now_ms, contact, None, tuple(alerts), word, "agent", "agent")
        self._evidence.said.append(said)

        def heard() -> None:
            said.heard_ms = said.heard_ms or self._agenda.now_ms

        assert self.bank is not None
        self.bank.answer(contact, Answered(word, "agent", "agent", alerts=said.covers), heard)  # type: ignore[arg-type] # one of its words
