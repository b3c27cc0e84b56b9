"""Everything one seed makes: cards, merchants, calendar, and the populations that use them."""

from dataclasses import dataclass, field
from typing import Protocol

from pipeline.lab.simulate.account_takeover import AccountTakeover, AccountTakeoverParameters
from pipeline.lab.simulate.attempt import Attempt
from pipeline.lab.simulate.billing import Billing, BillingParameters
from pipeline.lab.simulate.calendar import Calendar
from pipeline.lab.simulate.card_testing import CardTesting, CardTestingParameters
from pipeline.lab.simulate.cardholders import Cardholder, CardholderParameters, Cardholders
from pipeline.lab.simulate.cash_out import CashOut, CashOutParameters
from pipeline.lab.simulate.compromised_merchant import CompromisedMerchantParameters, CompromisedMerchants
from pipeline.lab.simulate.customer_events import CustomerEventParameters, CustomersDays
from pipeline.lab.simulate.daily_life import DailyLife, LifeParameters
from pipeline.lab.simulate.draws import Draws
from pipeline.lab.simulate.merchants import Merchants
from pipeline.lab.simulate.stolen_card import StolenCard, StolenCardParameters

MAX_VICTIMS = 8
"""The most cards one episode may touch."""
TRIES_FOR_A_VICTIM = 50


class FraudPopulation(Protocol):
    """Thieves of one kind. Episodes begin ``per_card_day`` times per card and day, anywhere at random."""

    name: str
    per_card_day: float

    def episode(self, victims: list[Cardholder], start: float, draws: Draws, pace: float) -> list[Attempt]: ...


@dataclass(frozen=True)
class WorldParameters:
    cardholders: CardholderParameters = field(default_factory=CardholderParameters)
    life: LifeParameters = field(default_factory=LifeParameters)
    stolen_card: StolenCardParameters = field(default_factory=StolenCardParameters)
    card_testing: CardTestingParameters = field(default_factory=CardTestingParameters)
    cash_out: CashOutParameters = field(default_factory=CashOutParameters)
    account_takeover: AccountTakeoverParameters = field(default_factory=AccountTakeoverParameters)
    compromised_merchant: CompromisedMerchantParameters = field(default_factory=CompromisedMerchantParameters)
    customer_events: CustomerEventParameters = field(default_factory=CustomerEventParameters)
    billing: BillingParameters = field(default_factory=BillingParameters)


class World:
    """``cards`` cards from ``seed`` (≥ 0), whose history begins at unix time ``start``.

    ``shift_s`` moves the cardholders' day (see `calendar`). Two worlds with equal arguments are equal.
    """

    def __init__(
        self,
        seed: int,
        cards: int,
        start: float,
        shift_s: float = 0.0,
        parameters: WorldParameters | None = None,
    ) -> None:
        if cards < 1:
            raise ValueError(f"a world needs at least one card, not {cards}")
        if seed < 0:
            raise ValueError(f"the seed must not be negative: {seed}")
        p = parameters or WorldParameters()
        self.seed = seed
        self.cards = cards
        self.start = start
        self.parameters = p
        self.calendar = Calendar(seed, shift_s)
        self.merchants = Merchants(seed)
        self.cardholders = Cardholders(seed, p.cardholders)
        self.life = DailyLife(seed, self.merchants, self.calendar, p.life)
        self.compromised = CompromisedMerchants(seed, self.merchants, self.calendar, p.compromised_merchant)
        self.customers_days = CustomersDays(seed, self.cardholders, self.calendar, p.customer_events)
        self.billing = Billing(seed, self.cardholders, self.calendar, p.billing)
        self.fraud: list[FraudPopulation] = [
            StolenCard(self.merchants, p.stolen_card),
            CardTesting(self.merchants, p.card_testing),
            CashOut(self.merchants, p.cash_out),
        ]
        if p.account_takeover.per_card_day > 0:
            self.fraud.append(AccountTakeover(self.merchants, p.account_takeover))

    def world_day(self, time: float) -> int:
        return self.calendar.day(time) - self.calendar.day(self.start)

    def victims(self, time: float, draws: Draws) -> list[Cardholder]:
        """Cards a thief may come by: any, the busy ones (which are shown more often) sooner; none that its holder
        has not begun to use."""
        limit, today = self.parameters.cardholders.daily_limit, self.world_day(time)
        found: list[Cardholder] = []
        for _ in range(TRIES_FOR_A_VICTIM):
            card = self.cardholders.get(draws.integer(0, self.cards - 1))
            if card.first_day <= today and draws.chance(0.25 + card.daily / limit) and card not in found:
                found.append(card)
                if len(found) == MAX_VICTIMS:
                    break
        return found or [self.cardholders.get(0)]
