"""The customers of one country profile: where they live, how they can be reached, what they are like."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Region(NamedTuple):
    """A share of a profile's customers. ``dial``: what their numbers begin with; ``digits``: how many follow."""

    country: str
    zone: str
    language: str
    share: float
    dial: str
    digits: int


REGIONS: Mapping[str, tuple[Region, ...]] = {
    "cn": (
        Region("CN", "Asia/Shanghai", "zh-CN", 0.88, "+8613", 9),
        Region("CN", "Asia/Urumqi", "zh-CN", 0.04, "+8615", 9),
        Region("HK", "Asia/Hong_Kong", "zh-CN", 0.05, "+8529", 7),
        Region("HK", "Asia/Hong_Kong", "en", 0.03, "+8526", 7),
    ),
    "us": (
        Region("US", "America/New_York", "en", 0.40, "+1212", 7),
        Region("US", "America/Chicago", "en", 0.25, "+1312", 7),
        Region("US", "America/Denver", "en", 0.08, "+1303", 7),
        Region("US", "America/Phoenix", "en", 0.04, "+1602", 7),
        Region("US", "America/Los_Angeles", "es", 0.18, "+1213", 7),
        Region("US", "America/Anchorage", "en", 0.02, "+1907", 7),
        Region("US", "Pacific/Honolulu", "en", 0.02, "+1808", 7),
        Region("PR", "America/Puerto_Rico", "es", 0.01, "+1787", 7),
    ),
    "uk": (Region("GB", "Europe/London", "en", 0.97, "+447", 9), Region("JE", "Europe/Jersey", "en", 0.03, "+441534", 6)),
    "eu": (
        Region("DE", "Europe/Berlin", "de", 0.35, "+4915", 9),
        Region("FR", "Europe/Paris", "fr", 0.25, "+336", 8),
        Region("ES", "Europe/Madrid", "es", 0.15, "+346", 8),
        Region("ES", "Atlantic/Canary", "es", 0.03, "+347", 8),
        Region("PT", "Europe/Lisbon", "pt", 0.07, "+3519", 8),
        Region("FI", "Europe/Helsinki", "fi", 0.05, "+3584", 8),
        Region("IE", "Europe/Dublin", "en", 0.10, "+3538", 8),
    ),
    "in": (Region("IN", "Asia/Kolkata", "en", 0.7, "+919", 9), Region("IN", "Asia/Kolkata", "hi", 0.3, "+918", 9)),
}  # fmt: skip
ABROAD = ("Asia/Dubai", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu")
"""Where some live who are customers of another country's bank: odd offsets and odd changes of the clock."""


class Habits(NamedTuple):
    """Chances. ``replies``: to a text message that was read; ``picks_up``: the telephone, at a good hour."""

    replies: float
    picks_up: float
    voicemail: bool
    app: bool


@dataclass
class Number:
    """A number as the bank has it. ``who`` answers there: the customer, a stranger, a thief, nobody."""

    number: str
    kind: str
    since_ms: int | None = None
    who: str = "customer"


@dataclass
class Person:
    """One customer. ``told_zone``: what the bank's record says of it, if anything."""

    name: str
    country: str
    zone: str
    told_zone: str | None
    language: str
    cards: tuple[str, ...]
    habits: Habits
    numbers: list[Number] = field(default_factory=list)
    protections: list[str] = field(default_factory=list)
    consent: dict[str, bool] = field(default_factory=dict)
    preferred_hours: str | None = None

    def record(self) -> dict[str, Any]:
        """As it stands on the ``customers`` topic."""
        phones = [
            {"number": each.number, "kind": each.kind} | ({"since": _moment(each.since_ms)} if each.since_ms else {})
            for each in self.numbers
        ]
        cards = [{"card": card, "last4": f"{1000 + sum(map(ord, card)) % 9000}"} for card in self.cards]
        return {
            "customer": self.name, "language": self.language, "country": self.country, "time_zone": self.told_zone,
            "phones": phones, "cards": cards, "protections": list(self.protections), "consent": dict(self.consent),
            "preferred_hours": self.preferred_hours,
        }  # fmt: skip


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


class Population:
    """Makes customers, and new numbers for them."""

    def __init__(self, profile: str, rng: random.Random) -> None:
        self._profile = profile
        self._rng = rng
        self._numbers = 0

    def people(self, count: int) -> list[Person]:
        return [self._person(number) for number in range(count)]

    def number(self, region: Region, kind: str, since_ms: int | None = None, who: str = "customer") -> Number:
        self._numbers += 1
        return Number(f"{region.dial}{self._numbers:0{region.digits}d}", kind, since_ms, who)

    def region_of(self, person: Person) -> Region:
        regions = REGIONS[self._profile]
        return next((region for region in regions if region.country == person.country), regions[0])

    def _person(self, number: int) -> Person:
        rng = self._rng
        regions = REGIONS[self._profile]
        region = rng.choices(regions, [each.share for each in regions])[0]
        zone = rng.choice(ABROAD) if rng.random() < 0.015 else region.zone
        told: str | None = zone
        if zone == region.zone and rng.random() < 0.08:
            told = "Mars/Phobos" if rng.random() < 0.1 else None
        name = f"{self._profile}_{number:06d}"
        cards = tuple(f"tok_{name}_{letter}" for letter in ("ab" if rng.random() < 0.2 else "a"))
        habits = Habits(
            replies=min(0.95, max(0.02, rng.gauss(0.62, 0.25))),
            picks_up=min(0.95, max(0.02, rng.gauss(0.5, 0.2))),
            voicemail=rng.random() < 0.5,
            app=rng.random() < 0.35,
        )
        person = Person(name, region.country, zone, told, region.language, cards, habits)
        for kind, share in (("mobile", 0.95), ("home", 0.25), ("work", 0.15)):
            if rng.random() < share:
                person.numbers.append(self.number(region, kind, who="stranger" if rng.random() < 0.02 else "customer"))
        for protection, share in (("deceased", 0.003), ("hardship", 0.02), ("vulnerable", 0.01)):
            if rng.random() < share:
                person.protections.append(protection)
        if rng.random() < 0.1:
            person.consent["night_contact"] = rng.random() < 0.5
        if rng.random() < 0.2:
            person.preferred_hours = rng.choice(["18:00-20:30", "09:00-12:00", "22:00-06:00"])
        return person
