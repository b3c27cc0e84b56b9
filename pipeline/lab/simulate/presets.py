"""What `simulate` sends when told only a preset's name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

from pipeline.lab.simulate import habits, terminals
from pipeline.lab.simulate.account_takeover import AccountTakeoverParameters
from pipeline.lab.simulate.cardholders import CardholderParameters
from pipeline.lab.simulate.compromised_merchant import CompromisedMerchantParameters
from pipeline.lab.simulate.customer_events import CustomerEventParameters
from pipeline.lab.simulate.daily_life import LifeParameters
from pipeline.lab.simulate.labels import LATE, ChargebackParameters
from pipeline.lab.simulate.stream import LiveParameters
from pipeline.lab.simulate.table import Batch
from pipeline.lab.simulate.world import WorldParameters


@dataclass(frozen=True)
class Preset:
    """``days`` of history precede the moment of starting. ``live`` None: send that history, as fast as it is taken;
    else the history is only for warming up, and traffic is sent on the wall clock."""

    cards: int
    days: int
    live: LiveParameters | None
    world: WorldParameters = field(default_factory=WorldParameters)
    chargebacks: ChargebackParameters = field(default_factory=ChargebackParameters)


@dataclass(frozen=True)
class TablePreset:
    """A stream that has no world behind it and is made as a table: a file of ``days`` from ``first_day`` on. ``make``
    is given seed, cards, days and first day."""

    cards: int
    days: int
    first_day: date
    make: Callable[[int, int, int, date], Iterator[Batch]]


def _terminals(seed: int, cards: int, days: int, first_day: date) -> Iterator[Batch]:
    return terminals.batches(seed, terminals.TerminalsParameters(cards=cards, days=days), first_day)


def _habits(seed: int, cards: int, days: int, first_day: date) -> Iterator[Batch]:
    return habits.Habits(seed, habits.HabitsParameters(cards=cards, days=days), first_day).batches()


PRESETS = {
    # So many cards that their month (130,000 transactions) is scored in some 15 s, and that each still pays seldom
    # enough to be itself: at twice the rate, cards look busy, and genuine holders are called more and more often.
    # Measured over half an hour and two seeds: the first call after 15-32 s, then two to three a minute.
    "demo": Preset(
        cards=3_000,
        days=30,
        live=LiveParameters(rate=2.0, fraud_every_s=(25.0, 65.0), opening=5, opening_s=15.0),
    ),
    # Prepared in a few seconds, and thieves all the time: for trying things out.
    "busy": Preset(
        cards=600,
        days=30,
        live=LiveParameters(rate=2.0, fraud_every_s=(4.0, 10.0), opening=5, opening_s=10.0),
    ),
    "backlog": Preset(cards=5_000, days=30, live=None),
    # Everybody there is, long enough for cards that were exposed to go bad and for their labels to come.
    "everyone": Preset(
        cards=5_000,
        days=120,
        live=None,
        world=WorldParameters(
            cardholders=CardholderParameters(trips_a_month=0.2),
            life=LifeParameters(unbilled=0.1, converted_there=0.15),
            account_takeover=AccountTakeoverParameters(per_card_day=1.5e-4),
            compromised_merchant=CompromisedMerchantParameters(monthly=4.0),
            customer_events=CustomerEventParameters(
                phone_changed=1.0e-3,
                sim_swapped=3.0e-4,
                device_added=1.5e-3,
                login_failed=6.0e-3,
                announced=0.35,
                not_gone=1.0e-4,
            ),
        ),
        chargebacks=LATE,
    ),
}
TABLE_PRESETS = {
    "terminals": TablePreset(cards=5_000, days=183, first_day=terminals.FIRST_DAY, make=_terminals),
    "habits": TablePreset(cards=1_000, days=183, first_day=habits.FIRST_DAY, make=_habits),
}
