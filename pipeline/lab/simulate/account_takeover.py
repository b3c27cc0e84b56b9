"""Population: account takeover. The thief has become the customer, as far as the bank's systems can see.

Sign-ins fail until one does not; then the telephone number is changed or its SIM card swapped, and a device added. An
hour or several later the money goes: online from the new device, and with the card put into that device's wallet, in
shops far from where the customer lives. Whoever is rung up on the new number says yes.
"""

from dataclasses import dataclass

from pipeline.lab.simulate.attempt import Attempt, Episode, Truth, online, pay
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.customer_events import Happened, happened
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import BY_KEY, DIGITAL, LARGE, MARKETPLACE, PER_CITY, Merchants
from pipeline.lab.simulate.places import FOREIGN_WEIGHTS, HOME_CITIES, HOME_WEIGHTS

ONLINE_GOODS = (MARKETPLACE, MARKETPLACE, DIGITAL, BY_KEY["travel"])
SHOP_GOODS = tuple(place for place in LARGE if place != BY_KEY["travel"] and place != BY_KEY["hospital"])
MINUTE_S = 60.0


@dataclass(frozen=True)
class AccountTakeoverParameters:
    """``per_card_day``: episodes; off unless a preset turns it on. ``wait_s``: median from the new device to the first
    payment. ``dearer``: median factor on a merchant's usual amounts."""

    per_card_day: float = 0.0
    more_attempts: float = 3.0
    wait_s: float = 7_200.0
    wait_sigma: float = 0.9
    gap_s: float = 900.0
    gap_sigma: float = 1.0
    dearer: float = 3.0
    dearer_sigma: float = 0.7
    swapped: float = 0.35
    in_shops: float = 0.45
    abroad: float = 0.3
    refused: float = 0.1
    patience: int = 2


class AccountTakeover:
    name = "account_takeover"

    def __init__(self, merchants: Merchants, parameters: AccountTakeoverParameters) -> None:
        self._merchants = merchants
        self._p = parameters
        self.per_card_day = parameters.per_card_day

    def episode(self, victims: list[Cardholder], start: float, draws: Draws, pace: float) -> list[Attempt]:
        """The first of ``victims`` whose customer is known, in order of time; gaps are divided by ``pace``. The first
        attempt carries what happened to the customer before it. Empty when there is nobody to be taken over."""
        card = next((each for each in victims if each.customer is not None), None)
        if card is None:
            return []
        events, time = self._take_over(card, start, draws, pace)
        time += draws.lognormal(self._p.wait_s, self._p.wait_sigma) / pace
        episode = Episode(card.number, self.name, draws.integer(1, self._p.patience))
        device, city = f"dev-{draws.identifier()[:16]}", self._far_from(card, draws)
        attempts: list[Attempt] = []
        for _ in range(2 + draws.count(self._p.more_attempts)):
            attempts.append(self._attempt(card, city, device, time, draws, episode))
            time += draws.lognormal(self._p.gap_s, self._p.gap_sigma) / pace
        attempts[0] = attempts[0]._replace(events=events)
        return attempts

    def _take_over(
        self, card: Cardholder, time: float, draws: Draws, pace: float
    ) -> tuple[tuple[Happened, ...], float]:
        """The events, and when the last of them was."""
        kinds = ["login_failed"] * draws.integer(0, 3)
        kinds += ["sim_swapped" if draws.chance(self._p.swapped) else "phone_changed", "device_added"]
        events = []
        for kind in kinds:
            events.append(happened(card, kind, time))
            time += draws.between(0.5, 6) * MINUTE_S / pace
        return tuple(event for event in events if event is not None), time

    def _far_from(self, card: Cardholder, draws: Draws) -> int:
        if draws.chance(self._p.abroad):
            return len(HOME_CITIES) + draws.weighted(FOREIGN_WEIGHTS)
        city = draws.weighted(HOME_WEIGHTS)
        return city if city != card.city else (city + 1) % len(HOME_CITIES)

    def _attempt(
        self, card: Cardholder, city: int, device: str, time: float, draws: Draws, episode: Episode
    ) -> Attempt:
        in_shop = draws.chance(self._p.in_shops)
        category = draws.pick(SHOP_GOODS if in_shop else ONLINE_GOODS)
        shop = self._merchants.get(city, category, draws.integer(0, PER_CITY - 1))
        what = shop.category
        fen = draws.lognormal(what.median, what.sigma * 0.7) * draws.lognormal(self._p.dearer, self._p.dearer_sigma)
        code = draws.pick(("51", "61")) if draws.chance(self._p.refused) else "00"
        entry = "contactless" if in_shop else "ecommerce"
        spent = pay(card, shop, time, fen * card.level**0.6, draws, entry_mode=entry, response=code)
        if in_shop:
            spent.wallet, spent.device = draws.pick(("apple_pay", "huawei_pay", "mi_pay")), device
        else:
            online(card, spent, device, draws)
        return Attempt(time, card.number, spent, Truth(spent.id, True, self.name), episode)
