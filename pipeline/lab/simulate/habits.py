"""Preset ``habits``: cardholders with habits, thieves in bursts. A stream quite unlike ``terminals``.

In the manner of the family of simulators that give each kind of cardholder categories, hours and amounts of its own: a
cardholder lives in a town and pays at its shops, the favourites first, sometimes out of town, sometimes on a journey,
online at any hour, and for subscriptions every month. Fraud comes in bursts of a few hours to two days on a stolen card
or number: at night, in the categories whose goods can be sold, for larger amounts, often far away.

Numbers are drawn for all days, 40 bytes a payment; text is made a day at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.lab.simulate.habits_kinds import CATEGORIES, SUBSCRIPTION, Floats, character
from pipeline.lab.simulate.places import HOME_COUNTRY, HOME_CURRENCY, HOME_UTC_OFFSET_H
from pipeline.lab.simulate.table import MAX_TRANSACTIONS, Batch, NotWritten, texts, times_of_day

DAY_S = 86_400
FIRST_DAY = date(2025, 7, 1)
FRAUD_TYPES = (None, "stolen_card", "stolen_number")
STOLEN_CARD, STOLEN_NUMBER = 1, 2
ENTRY_MODES = ("chip", "contactless", "magstripe", "ecommerce", "stored")
ECOMMERCE, STORED = 3, 4
FOREIGN = ("US", "GB", "JP", "TH", "SG", "AU")
_ONLINE = np.array([category.online for category in CATEGORIES])
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class HabitsParameters:
    """``towns`` (of which ``foreign_towns`` abroad) with ``shops`` of each category; ``online_shops`` of each category
    that is bought online. Degrees: the country is ``width`` square, a town's shops lie ``town_sd`` around it."""

    cards: int = 1_000
    days: int = 183
    towns: int = 80
    foreign_towns: int = 6
    shops: int = 8
    online_shops: int = 60
    online_abroad: float = 0.1
    width: float = 18.0
    town_sd: float = 0.06
    spends_sigma: float = 0.4
    taste_sigma: float = 0.7
    journeys_monthly: float = 0.12
    journey_days: int = 7
    subscriptions: float = 1.6


class Payments(NamedTuple):
    """In order of time, arrays of equal length. ``second`` from the first day's midnight on the bank's clock; ``shop``,
    ``entry`` and ``fraud_type`` are indices; ``amount`` minor units."""

    second: Ints
    card: Ints
    category: Ints
    shop: Ints
    amount: Ints
    entry: Ints
    fraud_type: Ints


class _Cards(NamedTuple):
    """One entry per card; ``taste`` [cards, C] weights; ``away`` [cards, days]: the town of a journey, −1 at home."""

    profile: Ints
    town: Ints
    spends: Floats
    loyalty: Floats
    taste: Floats
    away: NDArray[np.int16]


class Habits:
    """The country of a seed, and what happens there in ``parameters.days`` days from ``first_day`` on."""

    def __init__(self, seed: int, parameters: HabitsParameters, first_day: date = FIRST_DAY) -> None:
        p = parameters
        self._seed, self._p, self._first_day = seed, p, first_day
        self.character = c = character(self._draws("character"))
        if p.cards * p.days * c.daily.max() > MAX_TRANSACTIONS:
            raise NotWritten(
                f"{p.cards} cards over {p.days} days make more transactions than the {MAX_TRANSACTIONS} that are made "
                "at once: give fewer cards or days"
            )
        draws = self._draws("places")
        home = draws.uniform((22.0, 100.0), (22.0 + p.width, 100.0 + p.width), (p.towns, 2))
        abroad = draws.uniform((-35.0, -120.0), (55.0, 80.0), (p.towns, 2))
        towns = np.where(np.arange(p.towns)[:, None] < p.towns - p.foreign_towns, home, abroad)
        self._physical = p.towns * len(CATEGORIES) * p.shops
        self.positions = np.repeat(towns, len(CATEGORIES) * p.shops, axis=0)
        self.positions = self.positions + draws.normal(0, p.town_sd, self.positions.shape)
        countries = np.array(FOREIGN, dtype=object)
        of_town = np.where(
            np.arange(p.towns) < p.towns - p.foreign_towns, HOME_COUNTRY, draws.choice(countries, p.towns)
        )
        online = len(CATEGORIES) * p.online_shops
        of_online = np.where(draws.random(online) < p.online_abroad, draws.choice(countries, online), HOME_COUNTRY)
        self.countries = np.concatenate((np.repeat(of_town, len(CATEGORIES) * p.shops), of_online))
        self._town_weights = np.cumsum(draws.lognormal(0, 0.8, p.towns - p.foreign_towns))
        self._cards = self._make_cards()

    def _draws(self, what: str, day: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, crc32(b"preset habits: " + what.encode()), day])

    def _make_cards(self) -> _Cards:
        p, c, draws = self._p, self.character, self._draws("cards")
        profile = draws.choice(len(c.shares), p.cards, p=c.shares / c.shares.sum())
        away = np.full((p.cards, p.days), -1, dtype=np.int16)
        number = draws.poisson(p.journeys_monthly * p.days / 30, p.cards)
        for card in np.repeat(np.arange(p.cards), number):
            first = int(draws.integers(0, p.days))
            away[card, first : first + int(draws.integers(2, p.journey_days + 1))] = draws.integers(0, p.towns)
        return _Cards(
            profile=profile,
            town=self._town(draws, p.cards),
            spends=c.spends[profile] * draws.lognormal(0, p.spends_sigma, p.cards),
            loyalty=draws.uniform(1.5, 4.0, p.cards),
            taste=c.weights[profile] * draws.lognormal(0, p.taste_sigma, (p.cards, len(CATEGORIES))),
            away=away,
        )

    def _town(self, draws: np.random.Generator, number: int) -> Ints:
        drawn: Ints = np.searchsorted(self._town_weights, draws.random(number) * self._town_weights[-1])
        return drawn

    def payments(self) -> Payments:
        """All payments, genuine and not."""
        genuine = [self._day(day) for day in range(self._p.days)]
        parts = [*genuine, *self._subscriptions()]
        number = sum(len(part.second) for part in genuine)
        parts.append(self._bursts(number))
        whole = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(whole[0], kind="stable")
        order = order[whole[0][order] < self._p.days * DAY_S]
        return Payments(*(column[order] for column in whole))

    def _shops(self, draws: np.random.Generator, card: Ints, category: Ints, town: Ints, loyalty: Floats) -> Ints:
        """Where each pays: the favourites are the same shops every time; a ``loyalty`` of 1 has none."""
        p, place = self._p, draws.random(len(card)) ** loyalty
        physical = (town * len(CATEGORIES) + category) * p.shops + (card * 7 + (place * p.shops).astype(int)) % p.shops
        online = category * p.online_shops + (card * 13 + (place * p.online_shops).astype(int)) % p.online_shops
        paid_at: Ints = np.where(_ONLINE[category], self._physical + online, physical)
        return paid_at

    def _day(self, day: int) -> Payments:
        p, c, cards, draws = self._p, self.character, self._cards, self._draws("genuine", day)
        today = date.fromordinal(self._first_day.toordinal() + day)
        weekend, december = today.weekday() >= 5, today.month == 12
        rate = c.daily[cards.profile] * (c.weekend[cards.profile] if weekend else 1.0)
        card = np.repeat(np.arange(p.cards), draws.poisson(rate))
        factor = np.where(weekend, c.weekend_weight, 1.0) * np.where(december, c.december_weight, 1.0)
        running = np.cumsum(cards.taste * factor, axis=1)
        category = (running[card] <= (draws.random(len(card)) * running[card, -1])[:, None]).sum(axis=1)
        hours = c.hours[cards.profile[card] * len(CATEGORIES) + category]
        hour = (hours <= draws.random(len(card))[:, None]).sum(axis=1)
        away = cards.away[card, day].astype(np.int64)
        strays = draws.random(len(card)) < c.out_of_town[cards.profile[card]]
        town = np.where(away >= 0, away, np.where(strays, self._town(draws, len(card)), cards.town[card]))
        loyalty = np.where(town == cards.town[card], cards.loyalty[card], 1.0)
        amount = c.median[category] * cards.spends[card] * np.exp(c.sigma[category] * draws.normal(size=len(card)))
        paid = draws.random(len(card))
        physical = np.where(paid < 0.5, 0, np.where(paid < 0.97, 1, 2))
        return Payments(
            day * DAY_S + ((hour + draws.random(len(card))) * 3_600).astype(np.int64),
            card,
            category,
            self._shops(draws, card, category, town, np.where(_ONLINE[category], cards.loyalty[card], loyalty)),
            np.maximum(1, np.rint(amount)).astype(np.int64),
            np.where(_ONLINE[category], np.where(paid < 0.7, ECOMMERCE, STORED), physical),
            np.zeros(len(card), dtype=np.int64),
        )

    def _subscriptions(self) -> Iterator[Payments]:
        """The same amount at the same shop on the same day of every month."""
        p, c, cards, draws = self._p, self.character, self._cards, self._draws("subscriptions")
        card = np.repeat(np.arange(p.cards), draws.poisson(p.subscriptions, p.cards))
        category = np.full(len(card), SUBSCRIPTION)
        due, second = draws.integers(1, 29, len(card)), draws.integers(3_600, 9 * 3_600, len(card))
        amount = c.median[SUBSCRIPTION] * np.exp(c.sigma[SUBSCRIPTION] * draws.normal(size=len(card)))
        amount = np.maximum(100, np.rint(amount / 100) * 100).astype(np.int64)
        shop = self._shops(draws, card, category, cards.town[card], np.ones(len(card)))
        for day in range(p.days):
            today = due == date.fromordinal(self._first_day.toordinal() + day).day
            number = int(today.sum())
            yield Payments(
                day * DAY_S + second[today],
                card[today],
                category[today],
                shop[today],
                amount[today],
                np.full(number, STORED),
                np.zeros(number, dtype=np.int64),
            )

    def _bursts(self, genuine: int) -> Payments:
        """So many bursts that fraud has its share beside ``genuine`` payments."""
        p, c, cards, draws = self._p, self.character, self._cards, self._draws("fraud")
        number = draws.poisson(c.fraud_share * genuine / c.burst_size)
        size = 2 + draws.poisson(c.burst_size - 2, number)
        begins, lasts = draws.random(number) * p.days * DAY_S, draws.uniform(*c.burst_s, number)
        cloned = draws.random(number) < c.cloned
        card, burst = np.repeat(draws.integers(0, p.cards, number), size), np.repeat(np.arange(number), size)
        tries = begins[burst, None] + lasts[burst, None] * draws.random((len(burst), 12))
        liked = np.log(c.thief_hours[(tries // 3_600 % 24).astype(int)]) + draws.gumbel(size=tries.shape)
        second = tries[np.arange(len(burst)), liked.argmax(axis=1)].astype(np.int64)
        weights = c.thief_weights * np.where(cloned[burst, None], np.where(_ONLINE, 0.3, 1.0), _ONLINE)
        running = np.cumsum(weights, axis=1)
        category = (running <= (draws.random(len(burst)) * running[:, -1])[:, None]).sum(axis=1)
        where = draws.random(number)
        town = np.where((where < c.far)[burst], self._town(draws, number)[burst], cards.town[card])
        foreign = draws.random(number) < c.abroad
        town = np.where(foreign[burst], p.towns - 1 - draws.integers(0, p.foreign_towns, number)[burst], town)
        amount = c.thief_median[category] * np.exp(c.thief_sigma * draws.normal(size=len(burst)))
        amount *= (cards.spends[card] / c.spends[cards.profile[card]]) ** 0.3
        physical = np.where(draws.random(len(burst)) < 0.6, 1, 2)
        return Payments(
            second,
            card,
            category,
            self._shops(draws, draws.integers(0, 10**6, number)[burst], category, town, np.ones(len(burst))),
            np.maximum(1, np.rint(amount)).astype(np.int64),
            np.where(_ONLINE[category], ECOMMERCE, physical),
            np.where(cloned[burst], STOLEN_CARD, STOLEN_NUMBER),
        )

    def batches(self) -> Iterator[Batch]:
        """The transactions, one batch a day (days without any are left out)."""
        p, whole = self._p, self.payments()
        series = blake2b(b"%d" % self._seed, digest_size=4, person=b"habits").hexdigest()
        tokens = texts(
            f"tok_h1_{blake2b(b'%d:%d' % (self._seed, card), digest_size=16, person=b'habits card').hexdigest()}"
            for card in range(p.cards)
        )
        customers = texts(f"C{card + 1:07d}" for card in range(p.cards))
        shops = texts(f"M{shop + 1:06d}" for shop in range(len(self.countries)))
        mccs, modes, kinds = texts(c.mcc for c in CATEGORIES), texts(ENTRY_MODES), texts(FRAUD_TYPES)
        latitude, longitude = (self._degrees(axis) for axis in (0, 1))
        clock = times_of_day(HOME_UTC_OFFSET_H)
        starts = np.searchsorted(whole.second, np.arange(p.days + 1) * DAY_S)
        for day in range(p.days):
            span = slice(starts[day], starts[day + 1])
            number = span.stop - span.start
            if not number:
                continue
            today = date.fromordinal(self._first_day.toordinal() + day).isoformat()
            shop, monthly = whole.shop[span], whole.category[span] == SUBSCRIPTION
            yield {
                "id": texts(f"h{series}n{place}" for place in range(span.start, span.stop)),
                "card": tokens[whole.card[span]],
                "time": today + clock[whole.second[span] - day * DAY_S],
                "amount": whole.amount[span],
                "currency": np.full(number, HOME_CURRENCY, dtype=object),
                "customer": customers[whole.card[span]],
                "kind": np.full(number, "purchase", dtype=object),
                "entry_mode": modes[whole.entry[span]],
                "initiator": np.where(monthly, "merchant", "cardholder").astype(object),
                "recurring": np.array([None, True], dtype=object)[monthly.astype(int)],
                "merchant": shops[shop],
                "mcc": mccs[whole.category[span]],
                "country": self.countries[shop],
                "latitude": latitude[shop],
                "longitude": longitude[shop],
                "home_country": np.full(number, HOME_COUNTRY, dtype=object),
                "fraud": (whole.fraud_type[span] > 0).astype(np.int8),
                "fraud_type": kinds[whole.fraud_type[span]],
            }

    def _degrees(self, axis: int) -> NDArray[np.object_]:
        """Per shop, None for those online."""
        degrees = np.full(len(self.countries), None, dtype=object)
        degrees[: self._physical] = np.round(self.positions[:, axis], 5).tolist()
        return degrees
