"""The suspicious payments of a year: when, on which card, and whether it was the customer."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from simulated_year.people import Person

BURSTS = ((1, 0.70), (2, 0.14), (3, 0.08), (4, 0.05), (5, 0.03))
"""Alerts of one incident and their shares."""
MEAN_BURST = sum(size * share for size, share in BURSTS)
FRAUD = 0.10
TAKEOVERS = 0.05
"""Of frauds: the thief has put a number of their own into the bank's record some days before."""
CHANGE_NIGHTS = 0.03
"""Of incidents: moved into a night in which the clock is changed, where the zone has one."""
DAY_MS = 86_400_000
CURRENCIES = {"CN": "CNY", "HK": "HKD", "US": "USD", "PR": "USD", "GB": "GBP", "JE": "GBP", "IN": "INR"}


@dataclass(frozen=True)
class Raised:
    """One decision that asks for contact. ``wants``: hold, verify or notify; ``incident``: those of one burst."""

    id: str
    customer: str
    card: str
    at_ms: int
    fraud: bool
    wants: str
    amount: int
    currency: str
    merchant: str
    incident: int
    takeover: bool = False

    def decision(self) -> bytes:
        """As it stands on the ``decisions`` topic."""
        value: dict[str, Any] = {
            "id": self.id, "card": self.card, "customer": self.customer, "time": _moment(self.at_ms),
            "outcome": self.wants, "score": 0.9 if self.fraud else 0.4, "percentile": 99.9, "reasons": [],
            "actions": {
                "transaction": "approve", "card": "hold" if self.wants == "hold" else "none",
                "contact": "notify" if self.wants == "notify" else "verify", "queue": "none",
            },
            "policy_version": "p1", "model_version": "m1", "decided_at": _moment(self.at_ms), "amount": self.amount,
            "currency": self.currency, "merchant_name": self.merchant, "merchant": self.merchant.replace(" ", "_"),
            "features": {"amount": float(self.amount)},
        }  # fmt: skip
        return msgspec.json.encode(value)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def raised_in(
    people: Sequence[Person], rng: random.Random, first: date, days: int, alerts_a_year: float
) -> list[Raised]:
    """The alerts of ``days`` days from ``first``, in the order of time; ``alerts_a_year`` of each customer, on average."""
    found: list[Raised] = []
    incident = 0
    for person in people:
        for _ in range(_poisson(rng, alerts_a_year / MEAN_BURST * days / 365)):
            incident += 1
            found += _incident(person, rng, first, days, incident)
    return sorted(found, key=lambda raised: (raised.at_ms, raised.id))


def _incident(person: Person, rng: random.Random, first: date, days: int, incident: int) -> list[Raised]:
    fraud = rng.random() < FRAUD
    takeover = fraud and rng.random() < TAKEOVERS
    at_ms = _moment_of(person.zone, rng, first, days, fraud)
    size = rng.choices([size for size, _ in BURSTS], [share for _, share in BURSTS])[0]
    card = rng.choice(person.cards)
    merchant = f"Shop {rng.randrange(1000)}"
    amount = round(math.exp(rng.gauss(9.5, 1.2)))
    wants = rng.choices(["hold", "verify", "notify"], [0.62, 0.35, 0.03])[0]
    found = []
    for number in range(size):
        if number and len(person.cards) > 1 and rng.random() < 0.3:
            card = rng.choice(person.cards)
        if number and rng.random() < 0.4:
            merchant = f"Shop {rng.randrange(1000)}"
        own = fraud and number > 0 and rng.random() < 0.12  # a payment of the customer's own among the thief's
        found.append(
            Raised(
                f"tx_{person.name}_{incident}_{number}",
                person.name,
                card,
                at_ms,
                fraud and not own,
                wants,
                round(amount * rng.uniform(0.6, 1.3)),
                CURRENCIES.get(person.country, "EUR"),
                merchant,
                incident,
                takeover,
            )
        )
        at_ms += 0 if rng.random() < 0.1 else round(rng.expovariate(1 / 90) * 1000)
    return found


def _moment_of(zone: str, rng: random.Random, first: date, days: int, fraud: bool) -> int:
    nights = [night for night in change_nights(zone, first.year) if first <= night < first + timedelta(days=days)]
    if nights and rng.random() < CHANGE_NIGHTS:
        day, second = rng.choice(nights), rng.randrange(4 * 3600)
    else:
        day = first + timedelta(days=rng.randrange(days))
        hour = rng.uniform(0, 24) if fraud else min(23.99, max(0.0, rng.gauss(14.5, 4.5)))
        second = int(hour * 3600)
    clock = time(second // 3600, second // 60 % 60, second % 60, rng.randrange(1000) * 1000)
    return round(datetime.combine(day, clock, ZoneInfo(zone)).timestamp() * 1000)


@cache
def change_nights(zone: str, year: int) -> tuple[date, ...]:
    """The days of a year on which a zone's clock is changed."""
    place = ZoneInfo(zone)
    day, found = date(year, 1, 1), []
    while day.year == year:
        offsets = [datetime.combine(day + timedelta(days=more), time.min, place).utcoffset() for more in (0, 1)]
        if offsets[0] != offsets[1]:
            found.append(day)
        day += timedelta(days=1)
    return tuple(found)


def _poisson(rng: random.Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
