"""Population: cash-out. Card and PIN are both known, and the account is emptied at machines.

A few withdrawals of round amounts with minutes between, at one or two machines, mostly in the victim's city and
sometimes far away, until the thief stops or the daily limit does. Genuine holders who need cash do the same now and
then.
"""

from dataclasses import dataclass

from pipeline.lab.simulate.attempt import Attempt, Episode, Truth, withdraw
from pipeline.lab.simulate.cardholders import Cardholder
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import CASH, PER_CITY, Merchants
from pipeline.lab.simulate.places import FOREIGN_WEIGHTS, HOME_CITIES, HOME_WEIGHTS


@dataclass(frozen=True)
class CashOutParameters:
    """``per_card_day``: episodes. ``hundreds``: median amount in hundreds of yuan. ``gap_s``: median."""

    per_card_day: float = 5.0e-4
    more_attempts: float = 3.6
    hundreds: float = 28.0
    hundreds_sigma: float = 0.6
    gap_s: float = 110.0
    gap_sigma: float = 1.1
    other_city: float = 0.3
    abroad: float = 0.2
    refused: float = 0.2
    patience: int = 2


class CashOut:
    name = "cash_out"

    def __init__(self, merchants: Merchants, parameters: CashOutParameters) -> None:
        self._merchants = merchants
        self._p = parameters
        self.per_card_day = parameters.per_card_day

    def episode(self, victims: list[Cardholder], start: float, draws: Draws, pace: float) -> list[Attempt]:
        """Withdrawals with the first of ``victims``, in order of time; gaps are divided by ``pace``."""
        card = victims[0]
        episode = Episode(card.number, self.name, draws.integer(1, self._p.patience))
        where, city = draws.uniform(), card.city
        if where < self._p.abroad:
            city = len(HOME_CITIES) + draws.weighted(FOREIGN_WEIGHTS)
        elif where < self._p.abroad + self._p.other_city:
            city = draws.weighted(HOME_WEIGHTS)
        machine = draws.integer(0, PER_CITY - 1)
        attempts, time = [], start
        for _ in range(1 + draws.count(self._p.more_attempts)):
            fen = 10_000 * max(
                1, min(50, round(draws.lognormal(self._p.hundreds, self._p.hundreds_sigma) * card.level))
            )
            code = draws.pick(("61", "51", "55")) if draws.chance(self._p.refused) else "00"
            taken = withdraw(card, self._merchants.get(city, CASH, machine), time, fen, draws, code)
            attempts.append(Attempt(time, card.number, taken, Truth(taken.id, True, self.name), episode))
            if draws.chance(0.3):
                machine = draws.integer(0, PER_CITY - 1)
            time += draws.lognormal(self._p.gap_s, self._p.gap_sigma) / pace
        return attempts
