"""What becomes of customers beside their payments: records of ``customer-events``.

Most numbers are changed, most devices added and most journeys announced by the customers themselves; a thief who takes
an account over does the same first (see `account_takeover`). Not everybody who travels says so, and some who said so
stay at home.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pipeline.lab.simulate.attempt import moment
from pipeline.lab.simulate.calendar import DAY_S, Calendar
from pipeline.lab.simulate.cardholders import Cardholder, Cardholders
from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.places import CITIES, FOREIGN_CITIES, HOME_COUNTRY

_encoder = msgspec.json.Encoder()


class CustomerEvent(msgspec.Struct, omit_defaults=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """The fields this bank fills in. A travel notice names ``countries`` and the first and last day (ISO 8601)."""

    customer: str
    type: str
    time: str
    countries: tuple[str, ...] | None = None
    first: str | None = None
    last: str | None = None


class Happened(NamedTuple):
    """``time`` unix seconds."""

    time: float
    event: CustomerEvent

    def key(self) -> bytes:
        return self.event.customer.encode()

    def value(self) -> bytes:
        """The record as it goes on the topic: JSON, UTF-8."""
        return _encoder.encode(self.event)


@dataclass(frozen=True)
class CustomerEventParameters:
    """Rates per card and day; ``announced``: share of journeys abroad with a notice, ``ahead_days`` at most before."""

    phone_changed: float = 0.0
    sim_swapped: float = 0.0
    device_added: float = 0.0
    login_failed: float = 0.0
    announced: float = 0.0
    not_gone: float = 0.0
    ahead_days: int = 5


def happened(card: Cardholder, kind: str, time: float) -> Happened | None:
    """None where the directory does not know whose card it is."""
    if card.customer is None:
        return None
    return Happened(time, CustomerEvent(customer=card.customer, type=kind, time=moment(time)))


class CustomersDays:
    """What customers themselves do on a day; pure: the same day, the same events."""

    def __init__(
        self, seed: int, cardholders: Cardholders, calendar: Calendar, parameters: CustomerEventParameters
    ) -> None:
        self._changes = Source(seed, "customer events")
        self._notices = Source(seed, "travel notices")
        self._cardholders = cardholders
        self._calendar = calendar
        self._p = parameters

    def of(self, day: int, cards: int) -> Iterator[Happened]:
        """In no order."""
        p = self._p
        midnight = self._calendar.midnight(day)
        rates = (p.phone_changed, p.sim_swapped, p.device_added, p.login_failed)
        for number, (kind, rate) in enumerate(
            zip(("phone_changed", "sim_swapped", "device_added", "login_failed"), rates, strict=True)
        ):
            left = self._changes.at(day, number)
            at = left.exponential(1.0)
            while at < rate * cards:
                card = self._cardholders.get(left.integer(0, cards - 1))
                event = happened(card, kind, midnight + left.between(7, 23) * 3_600)
                if event is not None:
                    yield event
                at += left.exponential(1.0)
        if p.announced or p.not_gone:
            yield from self._travel_notices(day, cards)

    def _travel_notices(self, day: int, cards: int) -> Iterator[Happened]:
        """A notice comes some days before the journey, the same number for each card; so a day is looked at ahead."""
        for index in range(cards):
            card = self._cardholders.get(index)
            if card.customer is None:
                continue
            first = day + 1 + index % self._p.ahead_days
            trip = self._calendar.away(card, first)
            draws = self._notices.at(index, first)
            if trip is not None and trip.first_day == first and CITIES[trip.city].country != HOME_COUNTRY:
                if draws.chance(self._p.announced):
                    yield self._notice(card, CITIES[trip.city].country, day, first, trip.last_day, draws.between(8, 22))
            elif trip is None and draws.chance(self._p.not_gone):
                country = draws.pick(FOREIGN_CITIES).country
                yield self._notice(card, country, day, first, first + draws.integer(2, 8), draws.between(8, 22))

    def _notice(self, card: Cardholder, country: str, day: int, first: int, last: int, hour: float) -> Happened:
        assert card.customer is not None
        time = self._calendar.midnight(day) + hour * DAY_S / 24
        return Happened(
            time,
            CustomerEvent(
                customer=card.customer,
                type="travel_notice",
                time=moment(time),
                countries=(country,),
                first=self._calendar.date(first).isoformat(),
                last=self._calendar.date(last).isoformat(),
            ),
        )
