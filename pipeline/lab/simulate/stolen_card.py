"""Population: stolen cards. A spree of some hours with somebody else's card, physical or its number.

The thief buys what anybody buys, only somewhat dearer and more of what can be sold on; mostly in the victim's own city
(where the card was lost), sometimes elsewhere; at merchants new to the card unless by chance. Gaps are of the order of
a quarter of an hour, so it looks much like an outing. Some attempts fail for want of PIN or funds.
"""

from dataclasses import dataclass

from pipeline.lab.simulate.attempt import Attempt, Episode, Truth, online, pay
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import CATEGORIES, PER_CITY, THIEF_WEIGHTS, Merchants
from pipeline.lab.simulate.places import FOREIGN_WEIGHTS, HOME_CITIES, HOME_WEIGHTS


@dataclass(frozen=True)
class StolenCardParameters:
    """``per_card_day``: episodes. ``dearer``: median factor on a merchant's usual amounts. ``gap_s``: median."""

    per_card_day: float = 4.5e-4
    more_attempts: float = 4.5
    dearer: float = 4.0
    dearer_sigma: float = 0.7
    gap_s: float = 400.0
    gap_sigma: float = 1.0
    other_city: float = 0.25
    abroad: float = 0.25
    refused: float = 0.18
    patience: int = 3


class StolenCard:
    name = "stolen_card"

    def __init__(self, merchants: Merchants, parameters: StolenCardParameters) -> None:
        self._merchants = merchants
        self._p = parameters
        self.per_card_day = parameters.per_card_day

    def episode(self, victims: list[Cardholder], start: float, draws: Draws, pace: float) -> list[Attempt]:
        """A spree on the first of ``victims``, in order of time; gaps are divided by ``pace``."""
        card = victims[0]
        episode = Episode(card.number, self.name, draws.integer(1, self._p.patience))
        city = self._place(card, draws)
        at_home = draws.between(0.5, 1.0)
        attempts, time = [], start
        for _ in range(2 + draws.count(self._p.more_attempts)):
            attempts.append(self._attempt(card, city, at_home, time, draws, episode))
            time += draws.lognormal(self._p.gap_s, self._p.gap_sigma) / pace
        return attempts

    def _place(self, card: Cardholder, draws: Draws) -> int:
        where = draws.uniform()
        if where < self._p.abroad:
            return len(HOME_CITIES) + draws.weighted(FOREIGN_WEIGHTS)
        if where < self._p.abroad + self._p.other_city:
            return draws.weighted(HOME_WEIGHTS)
        return card.city

    def _attempt(
        self, card: Cardholder, city: int, physical: float, time: float, draws: Draws, episode: Episode
    ) -> Attempt:
        category = draws.weighted(THIEF_WEIGHTS)
        if CATEGORIES[category].online and draws.chance(physical):
            category = draws.weighted(THIEF_WEIGHTS)
        shop = self._merchants.get(city, category, draws.integer(0, PER_CITY - 1))
        what = shop.category
        fen = (
            draws.lognormal(what.median, what.sigma)
            * shop.price
            * draws.lognormal(self._p.dearer, self._p.dearer_sigma)
        )
        fen *= card.level**0.6  # thieves see what kind of card it is, and what it takes
        code = draws.pick(("51", "55", "61", "05")) if draws.chance(self._p.refused) else "00"
        if what.online:
            entry = "ecommerce" if draws.chance(0.85) else "stored"
            spent = pay(card, shop, time, fen, draws, entry_mode=entry, response=code)
            device = f"dev-{draws.identifier()[:16]}" if draws.chance(0.5) else None
            online(card, spent, device, draws)
        else:
            mode = draws.uniform()
            entry = "contactless" if mode < 0.62 else "chip" if mode < 0.9 else "magstripe"
            spent = pay(card, shop, time, fen, draws, entry_mode=entry, response=code)
            spent.pin_result = "N" if code == "55" else None
        return Attempt(time, card.number, spent, Truth(spent.id, True, self.name), episode)
