"""Population: compromised merchants. Cards that paid at one place go bad together, weeks later.

Either a skimmer copies the cards put into a shop's terminals for some days, and copies with a magnetic stripe turn up
in other shops; or an online shop is broken into, and the numbers it stored are used online. What was stolen is sold
after weeks, and the buyers use it over the weeks that follow, the first ones soon: who finds the place early can
protect the rest.

The truth of a payment that exposed its card names the place as its ``point``, and so does that of every fraud that came
of it: with both, a finder of such places can be measured.
"""

from dataclasses import dataclass
from typing import NamedTuple

from pipeline.lab.simulate.attempt import APPROVED, Attempt, Episode, Truth, online, pay
from pipeline.lab.simulate.calendar import DAY_S, Calendar
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Draws, Source
from pipeline.lab.simulate.merchants import BY_KEY, CATEGORIES, DIGITAL, MARKETPLACE, PER_CITY, Merchant, Merchants
from pipeline.lab.simulate.places import HOME_WEIGHTS

SKIMMED = "skimmed"
BREACHED = "breached"
BLOCK_DAYS = 30
SKIMMED_PLACES = tuple(BY_KEY[key] for key in ("grocery", "convenience", "restaurant", "fast_food"))
BREACHED_PLACES = tuple(BY_KEY[key] for key in ("marketplace", "delivery", "digital"))
COPY_GOODS = tuple(BY_KEY[key] for key in ("department", "clothing", "electronics", "grocery", "fuel"))
NUMBER_GOODS = (MARKETPLACE, MARKETPLACE, DIGITAL, BY_KEY["travel"])
COPIED = ("chip", "magstripe")
STORED_THERE = ("ecommerce", "stored")


@dataclass(frozen=True)
class CompromisedMerchantParameters:
    """``monthly``: compromises that begin in thirty days, anywhere in the bank's world; off unless a preset turns it on.
    ``used``: share of the exposed cards that go bad. Days: how long a place leaks, from its end to the sale, and over
    how long the cards go bad. Only a few of a bank's cards pay at any one shop, so a skimmer needs longer."""

    monthly: float = 0.0
    skimmed: float = 0.5
    used: float = 0.35
    skimmed_days: tuple[int, int] = (20, 45)
    breached_days: tuple[int, int] = (8, 25)
    sale_days: tuple[int, int] = (7, 28)
    used_days: float = 28.0
    more_attempts: float = 2.2
    gap_s: float = 1_500.0
    gap_sigma: float = 1.0
    dearer: float = 2.5
    dearer_sigma: float = 0.7
    refused: float = 0.15
    patience: int = 2


class Compromise(NamedTuple):
    """A place and the days, both included, on which it leaked; ``sold`` the day from which the cards are used."""

    number: int
    kind: str
    merchant: Merchant
    first_day: int
    last_day: int
    sold: int


class CompromisedMerchants:
    """The compromises of a seed. Pure: who exposes a card, and what becomes of it, depends on card and place only."""

    def __init__(
        self, seed: int, merchants: Merchants, calendar: Calendar, parameters: CompromisedMerchantParameters
    ) -> None:
        self._places = Source(seed, "compromised merchants")
        self._cards = Source(seed, "exposed cards")
        self._merchants = merchants
        self._calendar = calendar
        self._p = parameters
        self._of_block: dict[int, list[Compromise]] = {}
        self._today: tuple[int | None, list[Compromise]] = (None, [])

    def exposing(self, attempt: Attempt) -> Compromise | None:
        """The compromise that this payment, a genuine one that went through, gives its card to."""
        transaction = attempt.transaction
        if not self._p.monthly or attempt.truth.fraud or transaction.response_code != APPROVED:
            return None
        day = self._calendar.day(attempt.time)
        for compromise in self._leaking(day):
            if transaction.merchant == compromise.merchant.id:
                modes = COPIED if compromise.kind == SKIMMED else STORED_THERE
                return compromise if transaction.entry_mode in modes else None
        return None

    def _leaking(self, day: int) -> list[Compromise]:
        if day != self._today[0]:
            longest = max(self._p.skimmed_days[1], self._p.breached_days[1])
            begun = [self.begun(block) for block in range((day - longest) // BLOCK_DAYS, day // BLOCK_DAYS + 1)]
            self._today = day, [each for block in begun for each in block if each.first_day <= day <= each.last_day]
        return self._today[1]

    def begun(self, block: int) -> list[Compromise]:
        """The compromises that begin in a block of thirty days (number of days since 1970 ÷ 30)."""
        found = self._of_block.get(block)
        if found is None:
            draws = self._places.at(block, 0)
            found = self._of_block[block] = [
                self._make(block, number) for number in range(draws.count(self._p.monthly))
            ]
        return found

    def _make(self, block: int, number: int) -> Compromise:
        draws = self._places.at(block, 1, number)
        kind = SKIMMED if draws.chance(self._p.skimmed) else BREACHED
        category = draws.pick(SKIMMED_PLACES if kind == SKIMMED else BREACHED_PLACES)
        merchant = self._merchants.get(draws.weighted(HOME_WEIGHTS), category, draws.integer(0, PER_CITY - 1))
        first = block * BLOCK_DAYS + draws.integer(0, BLOCK_DAYS - 1)
        last = first + draws.integer(*(self._p.skimmed_days if kind == SKIMMED else self._p.breached_days))
        return Compromise(block << 16 | number, kind, merchant, first, last, last + draws.integer(*self._p.sale_days))

    def use(self, compromise: Compromise, card: Cardholder) -> list[Attempt]:
        """What thieves do with an exposed card, in order of time; mostly nothing."""
        p, draws = self._p, self._cards.at(card.number, compromise.number)
        if not draws.chance(p.used):
            return []
        days = compromise.sold + p.used_days * draws.uniform() ** 1.6
        time = self._calendar.midnight(0) + (days + draws.uniform() / 24) * DAY_S
        episode = Episode(card.number, compromise.kind, draws.integer(1, p.patience))
        city = draws.weighted(HOME_WEIGHTS) if draws.chance(0.5) else card.city
        device = f"dev-{draws.identifier()[:16]}"
        attempts: list[Attempt] = []
        for _ in range(1 + draws.count(p.more_attempts)):
            attempts.append(self._attempt(compromise, card, city, device, time, draws, episode))
            time += draws.lognormal(p.gap_s, p.gap_sigma)
        return attempts

    def _attempt(
        self,
        compromise: Compromise,
        card: Cardholder,
        city: int,
        device: str,
        time: float,
        draws: Draws,
        episode: Episode,
    ) -> Attempt:
        p, skimmed = self._p, compromise.kind == SKIMMED
        category = draws.pick(COPY_GOODS if skimmed else NUMBER_GOODS)
        shop = self._merchants.get(city, category, draws.integer(0, PER_CITY - 1))
        fen = draws.lognormal(shop.category.median, shop.category.sigma) * draws.lognormal(p.dearer, p.dearer_sigma)
        code = draws.pick(("05", "51", "61")) if draws.chance(p.refused) else APPROVED
        mode = "magstripe" if draws.chance(0.75) else "chip"
        spent = pay(
            card,
            shop,
            time,
            fen * card.level**0.6,
            draws,
            entry_mode=mode if not CATEGORIES[category].online else "ecommerce",
            response=code,
        )
        if not skimmed:
            online(card, spent, device, draws)
        return Attempt(
            time, card.number, spent, Truth(spent.id, True, compromise.kind, compromise.merchant.id), episode
        )
