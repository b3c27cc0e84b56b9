"""What is left of a year, for the judge and for the figures: what was published, what providers did, what customers know.

Nothing here comes from inside the contact role or its store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from simulated_year.traffic import Raised

QUESTION = "1"


class Told(NamedTuple):
    """A record on one of our topics, when it was first published under its ``id``. ``value`` as any reader decodes it."""

    at_ms: int
    topic: str
    key: str
    value: Mapping[str, Any]
    id: str


class Handled(NamedTuple):
    """A provider took an order at ``at_ms``. ``number``: the attempt; ``covers``: the alerts the customer is asked
    about; ``question``: False for thanks."""

    at_ms: int
    contact: str
    number: int
    question: bool
    channel: str
    to: str
    covers: Sequence[str]


@dataclass
class Said:
    """What somebody said to the bank: ``given_ms`` when, ``heard_ms`` when the bank confirmed that it had been heard.
    ``contact`` and ``attempt``: the question they meant (an attempt of None: all they were shown); ``who`` spoke: customer,
    stranger or thief; ``number``: from which number."""

    given_ms: int
    contact: str
    attempt: int | None
    covers: Sequence[str]
    word: str
    channel: str
    assurance: str
    who: str = "customer"
    number: str = ""
    heard_ms: int | None = None


class Case(NamedTuple):
    """An agent took up a conversation, or tried again."""

    at_ms: int
    contact: str
    reached: bool


@dataclass
class Evidence:
    """``records``: customers' records as the bank published them; ``rung_until``: when a call that was taken was over, by
    its question's contact and number; ``measured_s``: real seconds from a call-back's arrival to its release command."""

    profile: str
    raised: list[Raised] = field(default_factory=list)
    records: list[tuple[int, str, Mapping[str, Any]]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    rung_until: dict[tuple[str, int], int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    measured_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def fault(self, name: str) -> None:
        self.faults[name] = self.faults.get(name, 0) + 1


def timeline(evidence: Evidence, customer: str) -> list[str]:
    """All that happened to a customer, a line each."""
    contacts = {told.value["contact"] for told in evidence.told if told.value.get("customer") == customer}
    cards = {raised.card for raised in evidence.raised if raised.customer == customer}
    lines = [(raised.at_ms, f"alert {raised}") for raised in evidence.raised if raised.customer == customer]
    lines += [(at_ms, f"record {record}") for at_ms, name, record in evidence.records if name == customer]
    lines += [
        (told.at_ms, f"{told.topic} {dict(told.value)}") for told in evidence.told
        if told.value.get("contact") in contacts or told.key in cards
    ]  # fmt: skip
    lines += [(one.at_ms, f"provider {one}") for one in evidence.handled if one.contact in contacts]
    lines += [(said.given_ms, f"said {said}") for said in evidence.said if said.contact in contacts]
    return [
        f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f} {words}" for at_ms, words in sorted(lines)
    ]
