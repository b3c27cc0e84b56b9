"""Population: genuine cardholders. Everyday purchases, outings, cash, subscriptions, trips, and the odd days.

A card's day is a number of *occasions*; an occasion is one purchase or several. Most are dull. The rest are there to
look like fraud without being it: outings are several purchases in a few hours at new places (as a stolen card's spree
is), top-ups are a quick series of small internet payments, some refused (as card testing is), cash needs are several
withdrawals in minutes (as a cash-out is), large purchases are ten times the usual, trips put a card in another
country, and some things happen at any hour. After pay-day more is spent; before it, funds run short.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from msgspec.structs import replace

from pipeline.lab.simulate.attempt import Attempt, Transaction, Truth, moment, online, pay, withdraw
from pipeline.lab.simulate.calendar import DAY_S, HOUR_S, Calendar
from pipeline.lab.simulate.cardholders import HOURS, HOURS_CUMULATIVE, Cardholder
from pipeline.lab.simulate.draws import Draws, Source
from pipeline.lab.simulate.merchants import (
    BY_KEY,
    CASH,
    CATEGORIES,
    DIGITAL,
    LARGE,
    MARKETPLACE,
    MEDIA,
    PER_CITY,
    SHOPPING,
    ZONES,
    Merchants,
)
from pipeline.lab.simulate.places import HOME_CURRENCY

TRANSIT = BY_KEY["transit"]
MINUTE_S = 60.0


@dataclass(frozen=True)
class LifeParameters:
    """Shares of occasions; what is left over is everyday purchases. Pay-day figures are factors and days. Of purchases
    in another currency ``unbilled`` come without the billing amount (the bank's own rates must do), and of the others
    ``converted_there`` are already in the bank's currency (the shop's terminal offered it)."""

    outing: float = 0.012
    top_up: float = 0.005
    cash_need: float = 0.18
    large: float = 0.01
    refund: float = 0.01
    reversal: float = 0.006
    card_check: float = 0.005
    any_hour: float = 0.02
    wrong_pin: float = 0.012
    short_of_funds: float = 0.012
    new_device: float = 0.08
    unbilled: float = 0.0
    converted_there: float = 0.0
    pay_day_spend: float = 1.3
    pay_day_amount: float = 1.2
    pay_day_days: int = 4


class DailyLife:
    """Plans days and plays occasions. ``plan`` is cheap and holds no transaction; ``play`` makes them."""

    def __init__(self, seed: int, merchants: Merchants, calendar: Calendar, parameters: LifeParameters) -> None:
        self._plans = Source(seed, "daily life: plans")
        self._plays = Source(seed, "daily life: occasions")
        self._merchants = merchants
        self._calendar = calendar
        self._p = parameters
        p = parameters
        self._shares = tuple(accumulate((p.outing, p.top_up, p.cash_need, p.large, p.refund, p.reversal, p.card_check)))
        self._kinds: tuple[Callable[[Cardholder, float, Draws, float], list[Attempt]], ...] = (
            self._outing,
            self._top_up,
            self._cash_need,
            self._large,
            self._refund,
            self._reversal,
            self._card_check,
            self._everyday,
        )

    def plan(self, card: Cardholder, day: int, world_day: int) -> list[float]:
        """Unix times, ascending, of the card's occasions on ``day`` (``world_day``: days since the world began)."""
        if world_day < card.first_day:
            return []
        draws = self._plans.at(card.number, day)
        mean = card.daily * (card.weekend if self._calendar.weekend(day) else 1.0)
        if self._since_pay_day(card, day) < self._p.pay_day_days:
            mean *= self._p.pay_day_spend
        midnight = self._calendar.midnight(day)
        return sorted(midnight + self._time_of_day(card, draws) for _ in range(draws.count(mean)))

    def active(self, card: Cardholder, hour: int) -> float:
        """How likely the holder is out and paying in this hour, 0–1 of their busiest."""
        row = HOURS[card.hours]
        return row[hour] / max(row)

    def subscriptions(self, card: Cardholder, day: int) -> list[Attempt]:
        """What merchants collect by themselves on this day: same amount, same day every month."""
        today = self._calendar.date(day).day
        attempts = []
        for number, due in enumerate(card.subscriptions):
            if due.day_of_month != today:
                continue
            draws = self._plays.at(card.number, day, -1 - number)
            time = self._calendar.midnight(day) + due.hour * HOUR_S + draws.between(0, 900)
            shop = self._merchants.get(0, MEDIA, due.shop)
            response = "51" if draws.chance(0.04) else "00"
            paid = pay(card, shop, time, due.fen, draws, entry_mode="stored", response=response)
            paid.initiator, paid.recurring = "merchant", True
            attempts.append(_genuine(card, time, paid, "subscription"))
        return attempts

    def play(self, card: Cardholder, time: float, day: int, number: int) -> list[Attempt]:
        """The attempts of one occasion, in order of time; ``number`` tells the occasions of a day apart."""
        draws = self._plays.at(card.number, day, number)
        draw = draws.uniform()
        kind = next((place for place, share in enumerate(self._shares) if draw < share), len(self._shares))
        generous = self._since_pay_day(card, day) < self._p.pay_day_days
        return self._kinds[kind](card, time, draws, self._p.pay_day_amount if generous else 1.0)

    def _since_pay_day(self, card: Cardholder, day: int) -> int:
        return (self._calendar.date(day).day - card.payday) % 30

    def _time_of_day(self, card: Cardholder, draws: Draws) -> float:
        if draws.chance(self._p.any_hour):
            return draws.uniform() * DAY_S
        return (draws.weighted(HOURS_CUMULATIVE[card.hours]) + draws.uniform()) * HOUR_S

    def _city(self, card: Cardholder, time: float) -> int:
        trip = self._calendar.away(card, self._calendar.day(time))
        return card.city if trip is None else trip.city

    def _shop(self, card: Cardholder, city: int, category: int, draws: Draws) -> int:
        """Number of a merchant: mostly one of three favourites in the holder's own quarter, else any."""
        if (city == card.city or CATEGORIES[category].online) and draws.chance(card.loyalty):
            return card.zone + ZONES * ((card.number + draws.integer(0, 2)) % (PER_CITY // ZONES))
        return draws.integer(0, PER_CITY - 1)

    def _purchase(
        self, card: Cardholder, city: int, category: int, time: float, draws: Draws, scale: float, response: str = "00"
    ) -> Transaction:
        shop = self._merchants.get(city, category, self._shop(card, city, category, draws))
        what = shop.category
        own = card.level if category != TRANSIT else 1.0
        fen = draws.lognormal(what.median, what.sigma) * shop.price * own * scale
        if what.online:
            stored = draws.chance(0.35)
            paid = pay(card, shop, time, fen, draws, entry_mode="stored" if stored else "ecommerce", response=response)
            device = f"dev-{draws.identifier()[:16]}" if draws.chance(self._p.new_device) else card.device
            return self._in_another_currency(online(card, paid, device, draws), draws)
        if category == TRANSIT or draws.chance(card.contactless):
            paid = pay(card, shop, time, fen, draws, entry_mode="contactless", response=response)
            if card.wallet and draws.chance(0.6):
                paid.wallet = card.wallet
            return self._in_another_currency(paid, draws)
        entry = "chip" if draws.chance(0.93) else "magstripe"
        paid = pay(card, shop, time, fen, draws, entry_mode=entry, response=response)
        return self._in_another_currency(paid, draws)

    def _in_another_currency(self, paid: Transaction, draws: Draws) -> Transaction:
        """How a purchase abroad reaches the bank; a world where all come alike draws nothing here."""
        if paid.billing_amount is None or not (self._p.unbilled or self._p.converted_there):
            return paid
        if draws.chance(self._p.unbilled):
            paid.billing_amount = paid.billing_currency = None
        elif draws.chance(self._p.converted_there):
            paid.amount, paid.currency = paid.billing_amount, HOME_CURRENCY
        return paid

    def _everyday(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        category = draws.weighted(card.categories)
        city = self._city(card, time)
        attempts: list[Attempt] = []
        refusal = draws.uniform()
        if refusal < self._p.wrong_pin + self._p.short_of_funds:
            code = "55" if refusal < self._p.wrong_pin else "51"
            for _ in range(draws.integer(1, 2)):
                refused = self._purchase(card, city, category, time, draws, scale, code)
                refused.pin_result = "N" if code == "55" else None
                attempts.append(_genuine(card, time, refused, "everyday"))
                time += draws.between(15, 90)
        return [*attempts, _genuine(card, time, self._purchase(card, city, category, time, draws, scale), "everyday")]

    def _outing(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        city = self._city(card, time)
        attempts = []
        for _ in range(min(9, 2 + draws.count(2.6))):
            category = draws.pick(SHOPPING)
            spent = self._purchase(card, city, category, time, draws, scale * 1.2)
            attempts.append(_genuine(card, time, spent, "outing"))
            time += draws.lognormal(14 * MINUTE_S, 0.8)
        return attempts

    def _top_up(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        shop = draws.integer(0, PER_CITY - 1)
        category = DIGITAL if draws.chance(0.7) else MARKETPLACE
        attempts = []
        for _ in range(min(12, 3 + draws.count(2.5))):
            merchant = self._merchants.get(0, category, shop)
            fen = 100 * draws.pick((1, 6, 12, 18, 30, 30, 68, 98, 128))
            code = draws.pick(("51", "61", "05")) if draws.chance(0.16) else "00"
            entry = "ecommerce" if draws.chance(0.6) else "stored"
            paid = pay(card, merchant, time, fen, draws, entry_mode=entry, response=code)
            attempts.append(_genuine(card, time, online(card, paid, card.device, draws), "top-up"))
            time += draws.lognormal(80.0, 0.9)
        return attempts

    def _cash_need(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        if not draws.chance(card.cash_share * 4):
            return self._everyday(card, time, draws, scale)
        city = self._city(card, time)
        machine = self._merchants.get(city, CASH, self._shop(card, city, CASH, draws))
        attempts = []
        for _ in range(draws.integer(2, 3) if draws.chance(0.08) else 1):
            fen = 10_000 * max(1, min(30, round(draws.lognormal(8.0, 0.7) * card.level)))
            code = draws.pick(("55", "51", "61")) if draws.chance(0.05) else "00"
            attempts.append(_genuine(card, time, withdraw(card, machine, time, fen, draws, code), "cash"))
            time += draws.lognormal(2 * MINUTE_S, 0.8)
        return attempts

    def _large(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        city = self._city(card, time)
        paid = self._purchase(card, city, draws.pick(LARGE), time, draws, draws.between(1.5, 6) * scale)
        return [_genuine(card, time, paid, "large purchase")]

    def _refund(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        back = self._purchase(card, card.city, draws.weighted(card.categories), time, draws, scale)
        back.kind = "refund"
        return [_genuine(card, time, back, "refund")]

    def _reversal(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        attempts = self._everyday(card, time, draws, scale)
        last = attempts[-1]
        later = last.time + draws.lognormal(3 * MINUTE_S, 0.7)
        first = last.transaction
        undone = replace(first, id=draws.identifier(), type="reversal", original_id=first.id, time=moment(later))
        return [*attempts, _genuine(card, later, undone, "reversal")]

    def _card_check(self, card: Cardholder, time: float, draws: Draws, scale: float) -> list[Attempt]:
        shop = self._merchants.get(0, MARKETPLACE, draws.integer(0, PER_CITY - 1))
        check = pay(card, shop, time, 0, draws, entry_mode="ecommerce", kind="verification")
        return [_genuine(card, time, online(card, check, card.device, draws), "card check")]


def _genuine(card: Cardholder, time: float, transaction: Transaction, kind: str) -> Attempt:
    return Attempt(time, card.number, transaction, Truth(transaction.id, False, kind))
