"""Who holds the cards: where they live, how much, where and when they spend.

Every property is drawn once per card from the card's own numbers. The spread between cards is wide on purpose (an
ordinary purchase of one is a large one of another), so an amount says little until it is set against the card.
"""

from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from pipeline.lab.simulate.draws import Draws, Source
from pipeline.lab.simulate.merchants import CATEGORIES, MEDIA, PER_CITY, ZONES, zone_centre
from pipeline.lab.simulate.places import HOME_CITIES, HOME_WEIGHTS

HOURS = (
    (1, 0.4, 0.2, 0.2, 0.3, 1, 3, 6, 7, 5, 4, 6, 9, 7, 4, 4, 5, 8, 11, 10, 8, 6, 4, 2),  # office
    (0.6, 0.3, 0.2, 0.3, 2, 6, 9, 10, 9, 8, 7, 7, 5, 4, 5, 6, 6, 5, 4, 3, 2, 1, 0.8, 0.6),  # early riser
    (7, 5, 3, 1.5, 0.8, 0.4, 0.4, 0.6, 1, 2, 3, 5, 6, 6, 5, 5, 5, 6, 7, 8, 9, 10, 10, 9),  # night owl
    (0.5, 0.3, 0.2, 0.2, 0.3, 1, 2, 4, 7, 9, 10, 9, 6, 6, 8, 9, 8, 6, 5, 4, 3, 2, 1, 0.6),  # at home by day
)
"""How active each kind of cardholder is in each hour of the day, relative to their other hours."""
HOURS_CUMULATIVE = tuple(tuple(accumulate(row)) for row in HOURS)
PAYDAYS = (5, 8, 10, 15, 20, 25)


@dataclass(frozen=True)
class CardholderParameters:
    """``daily`` occasions a day of the median card, log-normal ``daily_sigma`` between cards, at most
    ``daily_limit``. ``level`` likewise scales amounts. Shares are of cards, 0–1."""

    daily: float = 1.0
    daily_sigma: float = 0.6
    daily_limit: float = 4.0
    level_sigma: float = 0.55
    dormant_share: float = 0.05
    new_share: float = 0.06
    new_within_days: int = 25
    same_customer_share: float = 0.15
    unknown_customer_share: float = 0.05
    trips_a_month: float = 0.16


class Subscription(NamedTuple):
    day_of_month: int
    hour: float
    shop: int
    fen: int


class Cardholder(NamedTuple):
    """One card in its holder's hand; ``number`` among the world's. ``daily`` is occasions per day; ``first_day`` counts from the world's start
    (0: long active). ``customer`` None: the bank's directory does not know whose card it is."""

    number: int
    token: str
    last4: str
    customer: str | None
    account: str
    city: int
    zone: int
    latitude: float
    longitude: float
    level: float
    daily: float
    hours: int
    weekend: float
    categories: tuple[float, ...]
    loyalty: float
    cash_share: float
    contactless: float
    wallet: str | None
    device: str
    payday: int
    subscriptions: tuple[Subscription, ...]
    travels: float
    first_day: int


class Cardholders:
    """All cardholders of a seed, made when first asked for and kept."""

    def __init__(self, seed: int, parameters: CardholderParameters) -> None:
        self._seed = seed
        self._source = Source(seed, "cardholders")
        self._parameters = parameters
        self._made: dict[int, Cardholder] = {}

    def get(self, index: int) -> Cardholder:
        card = self._made.get(index)
        if card is None:
            card = self._made[index] = self._make(index)
        return card

    def owner(self, index: int) -> int | None:
        """Customer number of a card, None when the directory does not know it. A customer's number is that of
        their first card; some hold the next card too."""
        draws = self._source.at(index, 1)
        if draws.chance(self._parameters.unknown_customer_share):
            return None
        if index % 2 and draws.chance(2 * self._parameters.same_customer_share):
            return index - 1
        return index

    def _make(self, index: int) -> Cardholder:
        parameters = self._parameters
        draws = self._source.at(index, 0)
        city = draws.weighted(HOME_WEIGHTS)
        zone = draws.integer(0, ZONES - 1)
        latitude, longitude = zone_centre(HOME_CITIES[city], zone)
        dormant = draws.chance(parameters.dormant_share)
        daily = min(parameters.daily_limit, draws.lognormal(parameters.daily, parameters.daily_sigma))
        owner = self.owner(index)
        digest = blake2b(b"%d:%d" % (self._seed, index), digest_size=16, person=b"simulated card").hexdigest()
        return Cardholder(
            number=index,
            token=f"tok_s1_{digest}",
            last4=f"{draws.integer(0, 9999):04d}",
            customer=None if owner is None else f"C{owner + 1:07d}",
            account=f"A{index + 1:07d}",
            city=city,
            zone=zone,
            latitude=round(latitude + 0.015 * draws.normal(), 5),
            longitude=round(longitude + 0.015 * draws.normal(), 5),
            level=draws.lognormal(1.0, parameters.level_sigma),
            daily=0.03 * daily if dormant else daily,
            hours=draws.weighted((5.0, 6.5, 8.5, 10.0)),
            weekend=draws.lognormal(1.15, 0.35),
            categories=_taste(draws),
            loyalty=draws.between(0.6, 0.96),
            cash_share=0.0 if draws.chance(0.5) else draws.between(0.04, 0.2),
            contactless=draws.between(0.2, 0.85),
            wallet=draws.pick(("apple_pay", "huawei_pay", "mi_pay")) if draws.chance(0.5) else None,
            device=f"dev-{draws.identifier()[:16]}",
            payday=draws.pick(PAYDAYS),
            subscriptions=tuple(_subscription(draws) for _ in range(draws.count(0.9))),
            travels=parameters.trips_a_month * draws.lognormal(0.8, 0.9),
            first_day=draws.integer(1, parameters.new_within_days) if draws.chance(parameters.new_share) else 0,
        )


def _taste(draws: Draws) -> tuple[float, ...]:
    """Running sums of how often the card pays in each category: everybody's mix, bent to this holder's taste."""
    return tuple(accumulate(category.weight * (0.4 + 1.2 * draws.uniform()) ** 2 for category in CATEGORIES))


def _subscription(draws: Draws) -> Subscription:
    price = CATEGORIES[MEDIA].median
    return Subscription(
        draws.integer(1, 28), draws.between(1, 9), draws.integer(0, PER_CITY - 1), round(draws.lognormal(price, 0.5))
    )
