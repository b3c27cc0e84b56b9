"""How soon simulated places are named, how often wrongly, and what watching the exposed cards saves.

A watched card's holder is asked about each payment, whatever it looks like: so much could be saved at most, and reissuing
the card when its place is named would save it too, and the first payment besides. The past is the same with and without watching: what a watched card's holder would have said earlier helps nobody to
name a place sooner, which would save more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipeline.core.exposed_cards import EXPIRES_DAYS, Costs
from pipeline.core.point_of_compromise import LEAST_BAD_CARDS
from pipeline.lab.compromise.past import ANSWER_S, Fraud, Past
from pipeline.lab.compromise.report import Named, report
from pipeline.ports_archive import Visits

HOUR_S = 3_600.0
_DAY_S = 86_400.0


class Spell(NamedTuple):
    """A card is watched from ``since`` until ``until``, unix seconds."""

    since: float
    until: float


class Measured(NamedTuple):
    """``named`` places that leaked, of ``leaking`` ones of which at least as many cards as a place needs went bad;
    ``wrong``: named and did not leak. ``bad_cards``: of each place that was named rightly, how many bad cards it had
    then. Values in minor units: ``at_stake`` what watched cards lost from being watched on, ``saved`` of it by watching
    beyond what is asked anyway; ``hour_at_stake`` and ``hour_saved``: on other cards of the same place, in the hour
    after its first NO. ``asks``: genuine payments asked about because of watching."""

    leaking: int
    named: int
    wrong: int
    bad_cards: tuple[int, ...]
    watched: int
    at_stake: float
    saved: float
    hour_at_stake: float
    hour_saved: float
    asks: int


def measured(past: Past, visits: Visits, looks: Iterable[float], days: int) -> Measured:
    """Look at the past's archive at the unix times ``looks``, in order, ``days`` back each time."""
    first_named: dict[str, Named] = {}
    wrong: set[str] = set()
    spells: dict[str, Spell] = {}
    for now in looks:
        for each in report(visits, days, round(now * 1000), Costs()).places:
            merchant = each.place.merchant
            if merchant not in past.exposing:
                wrong.add(merchant)
            first_named.setdefault(merchant, each)
            until = (each.suspected.exposed.last + 1 + EXPIRES_DAYS) * _DAY_S
            for card in each.exposed.card.tolist():
                spells.setdefault(card, Spell(now, until))
    by_card: dict[str, list[Fraud]] = defaultdict(list)
    by_point: dict[str, list[Fraud]] = defaultdict(list)
    for fraud in past.frauds:
        by_card[fraud.card].append(fraud)
        if fraud.point is not None:
            by_point[fraud.point].append(fraud)
    saved = {card: _saved(by_card[card], spell) for card, spell in spells.items() if card in by_card}
    hours = [_first_hour(frauds, spells, saved) for frauds in by_point.values()]
    rightly = [each for merchant, each in first_named.items() if merchant in past.exposing]
    return Measured(
        leaking=sum(len({fraud.card for fraud in frauds}) >= LEAST_BAD_CARDS for frauds in by_point.values()),
        named=len(rightly),
        wrong=len(wrong),
        bad_cards=tuple(len(each.cards) for each in rightly),
        watched=len(spells),
        at_stake=sum(fraud.value for card in saved for fraud in by_card[card] if _within(fraud.time, spells[card])),
        saved=sum(fraud.value for each in saved.values() for fraud in each),
        hour_at_stake=sum(stake for stake, _ in hours),
        hour_saved=sum(of_it for _, of_it in hours),
        asks=_asks(past, spells),
    )


def _within(time: float, spell: Spell) -> bool:
    return spell.since <= time <= spell.until


def _saved(frauds: list[Fraud], spell: Spell) -> list[Fraud]:
    """Which of a card's frauds would not have happened, had it been watched, and would have otherwise."""
    anyway = min((each.time for each in frauds if each.asked), default=float("inf")) + ANSWER_S
    watched = (each.time for each in frauds if _within(each.time, spell))
    stopped = min(watched, default=float("inf")) + ANSWER_S
    return [each for each in frauds if stopped < each.time <= anyway]


def _first_hour(
    frauds: list[Fraud], spells: Mapping[str, Spell], saved: Mapping[str, list[Fraud]]
) -> tuple[float, float]:
    """Of one place: the value that other cards lost in the hour after the first NO, and what watching saved of it."""
    first = min((each for each in frauds if each.asked), default=None, key=lambda each: each.time)
    if first is None:
        return 0.0, 0.0
    no = first.time + ANSWER_S
    others = [each for each in frauds if each.card != first.card and no < each.time <= no + HOUR_S]
    return sum(each.value for each in others), sum(each.value for each in others if each in saved.get(each.card, ()))


def _asks(past: Past, spells: Mapping[str, Spell]) -> int:
    genuine = past.genuine
    return sum(
        card in spells and not asked and _within(time, spells[card])
        for card, time, asked in zip(genuine.card.tolist(), genuine.time.tolist(), genuine.asked.tolist(), strict=True)
    )


def look_times(first: float, last: float, every_s: float) -> list[float]:
    """Unix times of looks, from ``first`` to ``last``."""
    return [first + number * every_s for number in range(max(1, int((last - first) // every_s) + 1))]
