"""What the first NO at a shop saves on the other cards that are tried there, in the hour after it.

A thief tries a list of stolen cards at one shop, one after the other. The first cardholder asked says NO; from then on
the shop's payments look otherwise, before any model is learned anew. How much that saves shows beside the same stream
in which answers take hours: all else is equal, to the card and the second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from pipeline.core.decision import Outcome
from pipeline.lab.evaluate.bank import Bank, Known
from pipeline.lab.evaluate.stream import Labelled
from pipeline.lab.simulate.attempt import APPROVED, Attempt
from pipeline.lab.simulate.card_testing import CardTesting
from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.world import World
from pipeline.ports import MAX_POLL_RECORDS

HOUR_S = 3_600.0
_DAY_S = 86_400.0
_FAR = float("inf")


@dataclass(frozen=True)
class Pace:
    """Seconds: until who was asked has answered, until a label comes otherwise, between two models."""

    answer_s: float = 300.0
    late_s: float = 7 * _DAY_S
    model_s: float = 900.0


class Tried(NamedTuple):
    """One of the thief's attempts. ``value``: minor units that went through; ``asked``: the decision was to ask."""

    attack: int
    time: float
    card: str
    value: float
    asked: bool


class Hour(NamedTuple):
    """Of all attacks, on other cards than that of the first NO, in the hour after it: attempts, those of them asked
    about, and the same in minor units that went through. ``attacks``: those that came to a NO."""

    attacks: int
    attempts: int
    asked: int
    value: float
    value_asked: float


def attacks(world: World, days: Sequence[int], testing: CardTesting, cards: int) -> list[list[Attempt]]:
    """One on each of ``days`` (of the world), at noon, over ``cards`` cards, in order of time."""
    source = Source(world.seed, "first no")
    made = []
    for day in days:
        draws = source.at(day, 0)
        drawn = {draws.integer(0, world.cards - 1) for _ in range(cards)}
        victims = [card for each in sorted(drawn) if (card := world.cardholders.get(each)).first_day <= day]
        made.append(testing.episode(victims, world.start + (day + 0.5) * _DAY_S, draws, 1.0))
    return made


class Answering:
    """Takes a stream through ``bank``: who was asked answers after ``answer_s`` seconds, of the rest a label comes
    after ``late_s``; a model that is ready is used every ``model_s``. What became of the transactions in ``attack_of``
    is in ``tried``. (A late label that says genuine, thousands an hour, is handed over at the next such moment.)"""

    def __init__(self, bank: Bank, attack_of: Mapping[str, int], pace: Pace) -> None:
        self.tried: list[Tried] = []
        self._bank = bank
        self._attack_of = attack_of
        self._pace = pace
        self._labels: list[tuple[float, int, Known]] = []
        self._moments: list[float] = []
        self._rows = 0
        self._tick = _FAR

    def take(self, stream: Iterable[Attempt]) -> None:
        """``stream`` in order of time, whole."""
        piece: list[Attempt] = []
        for one in stream:
            if self._tick == _FAR:
                self._tick = one.time + self._pace.model_s
            if piece and (one.time >= self._next(piece) or len(piece) == MAX_POLL_RECORDS):
                self._score(piece)
                piece = []
                self._turn_to(one.time)
            piece.append(one)
        self._score(piece)

    def _next(self, piece: Sequence[Attempt]) -> float:
        """The next moment at which anything but a payment happens; the first of ``piece`` may be answered by then."""
        return min(self._tick, self._moments[0] if self._moments else _FAR, piece[0].time + self._pace.answer_s)

    def _turn_to(self, at: float) -> None:
        while (moment := min(self._tick, self._moments[0] if self._moments else _FAR)) <= at:
            known = []
            while self._labels and self._labels[0][0] <= moment:
                known.append(heappop(self._labels)[2])
            if known:
                self._bank.labels(known)
            while self._moments and self._moments[0] <= moment:
                heappop(self._moments)
            if moment == self._tick:
                self._bank.tick(moment)
                self._tick += self._pace.model_s

    def _score(self, piece: Sequence[Attempt]) -> None:
        first = self._rows
        rows = [Labelled(first + n, one.time, one.value(), one.truth.fraud, None) for n, one in enumerate(piece)]
        self._rows += len(rows)
        judged = self._bank.score(rows)
        lines = zip(judged.place.tolist(), judged.amount.tolist(), judged.outcome.tolist(), strict=True)
        for place, amount, outcome in lines:
            one, asked = piece[place], outcome >= Outcome.verify
            sent = one.transaction
            at = one.time + (self._pace.answer_s if asked else self._pace.late_s)
            label = Known(sent.id, sent.card, one.truth.fraud, None, at, "cardholder" if asked else "chargeback")
            heappush(self._labels, (at, first + place, label))
            if asked or label.fraud:
                heappush(self._moments, at)
            if (attack := self._attack_of.get(sent.id)) is not None:
                value = amount if sent.response_code == APPROVED else 0.0
                self.tried.append(Tried(attack, one.time, sent.card, value, asked))


def first_answers(tried: Iterable[Tried], answer_s: float) -> dict[int, tuple[float, str]]:
    """Attack → when its first NO comes, and of which card."""
    first: dict[int, tuple[float, str]] = {}
    for each in tried:
        if each.asked:
            first.setdefault(each.attack, (each.time + answer_s, each.card))
    return first


def hour_after(tried: Iterable[Tried], first: Mapping[int, tuple[float, str]]) -> Hour:
    """What was tried on other cards within an hour of the ``first`` NO of each attack."""
    others = [
        each
        for each in tried
        if each.attack in first
        and first[each.attack][0] <= each.time < first[each.attack][0] + HOUR_S
        and each.card != first[each.attack][1]
    ]
    return Hour(
        len(first),
        len(others),
        sum(each.asked for each in others),
        sum(each.value for each in others),
        sum(each.value for each in others if each.asked),
    )
