"""Population: card testing. Somebody bought a list of card numbers and tries which still work.

One small internet shop, several cards, a few small amounts on each within minutes, many refused (wrong security code,
expiry unknown); on some of the cards that worked, a larger purchase follows. It looks like a cardholder topping up a
game, whose payments are small, quick and sometimes refused as well.
"""

from dataclasses import dataclass

from pipeline.lab.simulate.attempt import Attempt, Episode, Truth, online, pay
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import DIGITAL, MARKETPLACE, MEDIA, PER_CITY, Merchant, Merchants


@dataclass(frozen=True)
class CardTestingParameters:
    """``per_card_day``: bursts, each over up to ``cards`` cards. Gaps are medians in seconds."""

    per_card_day: float = 2.0e-4
    cards: int = 4
    more_attempts: float = 4.0
    gap_s: float = 45.0
    gap_sigma: float = 0.9
    between_cards_s: float = 240.0
    refused: float = 0.55
    then_larger: float = 0.5
    patience: int = 1


class CardTesting:
    name = "card_testing"

    def __init__(self, merchants: Merchants, parameters: CardTestingParameters) -> None:
        self._merchants = merchants
        self._p = parameters
        self.per_card_day = parameters.per_card_day

    def episode(self, victims: list[Cardholder], start: float, draws: Draws, pace: float) -> list[Attempt]:
        """A burst over some of ``victims``, in order of time; gaps are divided by ``pace``."""
        category = draws.pick((DIGITAL, MARKETPLACE, MEDIA))
        shop = self._merchants.get(0, category, draws.integer(0, PER_CITY - 1))
        attempts, begins = [], start
        for card in victims[: draws.integer(1, self._p.cards)]:
            attempts += self._try(card, shop, begins, draws, pace)
            begins += draws.lognormal(self._p.between_cards_s, 0.6) / pace
        return sorted(attempts, key=lambda attempt: attempt.time)

    def _try(self, card: Cardholder, shop: Merchant, time: float, draws: Draws, pace: float) -> list[Attempt]:
        episode = Episode(card.number, self.name, self._p.patience)
        attempts, device, worked = [], f"dev-{draws.identifier()[:16]}", False
        for _ in range(1 + draws.count(self._p.more_attempts)):
            code = draws.pick(("05", "14", "54", "51", "61")) if draws.chance(self._p.refused) else "00"
            check = draws.chance(0.35)
            fen = 0.0 if check else draws.lognormal(1200, 0.9)
            kind = "verification" if check else "purchase"
            attempts.append(self._attempt(card, shop, time, fen, draws, (code, kind, device), episode))
            worked = worked or code == "00"
            time += draws.lognormal(self._p.gap_s, self._p.gap_sigma) / pace
        if worked and draws.chance(self._p.then_larger):
            larger = self._merchants.get(0, MARKETPLACE, draws.integer(0, PER_CITY - 1))
            time += draws.lognormal(1200, 0.8) / pace
            fen = draws.lognormal(120_000, 0.8) * card.level
            attempts.append(self._attempt(card, larger, time, fen, draws, ("00", "purchase", device), episode))
        return attempts

    def _attempt(
        self,
        card: Cardholder,
        shop: Merchant,
        time: float,
        fen: float,
        draws: Draws,
        answer: tuple[str, str, str],
        episode: Episode,
    ) -> Attempt:
        code, kind, device = answer
        tried = pay(card, shop, time, fen, draws, entry_mode="ecommerce", response=code, kind=kind)
        online(card, tried, device, draws)
        tried.cvv_result = "N" if code in ("05", "14") and draws.chance(0.5) else tried.cvv_result
        return Attempt(time, card.number, tried, Truth(tried.id, True, self.name), episode)
