"""The evidence of a year, sorted for the judge's rules."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from simulated_year.evidence import Evidence, Handled, Said, Told
from simulated_year.rules import Rules

DAY_MS = 86_400_000


class Violation(NamedTuple):
    """``rule`` was broken towards ``customer`` at ``at_ms``."""

    rule: str
    customer: str
    at_ms: int
    words: str


def made_ms(told: Told) -> int:
    """When what a record tells was done: published it may be later, by a worker that found it."""
    return round(datetime.fromisoformat(told.value["time"]).timestamp() * 1000)


class CaseFile:
    """The evidence, sorted for the rules."""

    def __init__(self, evidence: Evidence, rules: Rules) -> None:
        self.evidence = evidence
        self.rules = rules
        self.alerts = {raised.id: raised for raised in evidence.raised}
        self.steps: dict[str, list[Told]] = defaultdict(list)
        self.commands: dict[str, list[Told]] = defaultdict(list)
        self.heard: dict[tuple[str, int | None, str], list[int]] = defaultdict(list)
        for told in evidence.told:
            if told.topic == "contacts":
                self.steps[told.value["contact"]].append(told)
            elif told.topic == "card-commands":
                self.commands[told.key].append(told)
            elif told.topic == "answers":
                value = told.value
                self.heard[value["contact"], value.get("attempt"), value["answer"]].append(made_ms(told))
        self.said: dict[str, list[Said]] = defaultdict(list)
        for said in evidence.said:
            self.said[said.contact].append(said)
        self._records: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for at_ms, customer, record in evidence.records:
            self._records[customer].append((at_ms, record))

    @cached_property
    def questions(self) -> Sequence[Handled]:
        return sorted(one for one in self.evidence.handled if one.question)

    @cached_property
    def notices(self) -> Set[str]:
        """Conversations that only tell of a payment: their messages ask nothing, and each payment has its own."""
        told = {raised.id for raised in self.evidence.raised if raised.wants == "notify"}
        asked = {contact for alert, contact in self.contact_of.items() if alert not in told}
        return set(self.contact_of.values()) - asked

    @cached_property
    def contact_of(self) -> Mapping[str, str]:
        """Alert → the conversation it was taken into."""
        return {
            told.value["subject"]["alert"]: contact
            for contact, steps in self.steps.items()
            for told in steps
            if told.value["step"] in ("planned", "cancelled") and told.value.get("attempt") is None
            and told.value.get("reason") in (None, "joined", "exempt", "no_channel_for_notices")
        }  # fmt: skip

    def heard_ms(self, said: Said) -> int | None:
        """When the bank certainly knew of it."""
        published = self.heard[said.contact, said.attempt, said.word] if said.attempt else []
        known = [*published, *([said.heard_ms] if said.heard_ms is not None else [])]
        return min((at_ms for at_ms in known if at_ms >= said.given_ms), default=None)

    def unclear(self, said: Said) -> bool:
        """Whether it is a text that nobody could tell the question of: that number had been asked another one within a
        day when it arrived. Then it may be asked again; released by it nothing may be."""
        texts = self._texts[said.number] if said.channel == "sms" else ()
        came_ms = self.heard_ms(said) or said.given_ms
        return any(one.contact != said.contact and 0 <= came_ms - one.at_ms < DAY_MS for one in texts)

    def crossed_ms(self, one: Handled) -> Sequence[int]:
        """When texts written to another question at the same number were taken for this one, which was over then: a NO is
        the newest question's, whichever it was meant for."""
        return [
            said.heard_ms
            for said in self._written[one.to]
            if said.contact != one.contact
            and said.heard_ms is not None
            and said.heard_ms in self.heard[one.contact, one.number, said.word]
        ]

    @cached_property
    def _written(self) -> Mapping[str, Sequence[Said]]:
        """What was said by text, by number."""
        found: dict[str, list[Said]] = defaultdict(list)
        for said in self.evidence.said:
            if said.channel == "sms":
                found[said.number].append(said)
        return found

    @cached_property
    def _texts(self) -> Mapping[str, Sequence[Handled]]:
        """The questions by text, by number."""
        found: dict[str, list[Handled]] = defaultdict(list)
        for one in self.questions:
            if one.channel == "sms":
                found[one.to].append(one)
        return found

    def customer(self, contact: str) -> str:
        return str(self.steps[contact][0].value["customer"])

    def card(self, contact: str) -> str:
        return self.alerts[self.steps[contact][0].value["subject"]["alert"]].card

    def record(self, customer: str, at_ms: int) -> Mapping[str, Any]:
        """The bank's record of a customer as it was then."""
        return [record for known_ms, record in self._records[customer] if known_ms <= at_ms][-1]

    def violation(self, rule: str, contact: str, at_ms: int, words: str) -> Violation:
        return Violation(rule, self.customer(contact), at_ms, f"{contact}: {words}")
