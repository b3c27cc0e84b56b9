"""What the first NO saves is counted as it happened: on other cards, within the hour, and only what went through."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from pipeline.core.decision import Outcome
from pipeline.lab.compromise.first_no import Answering, Hour, Pace, attacks, first_answers, hour_after
from pipeline.lab.evaluate.bank import Known
from pipeline.lab.evaluate.stream import Labelled
from pipeline.lab.simulate.attempt import Attempt, Transaction, Truth, moment
from pipeline.lab.simulate.card_testing import CardTesting, CardTestingParameters
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.world import World

START = 1_790_000_000.0


class AskingBank:
    """Asks about card c0, and about everything at a shop of which a NO has come."""

    def __init__(self) -> None:
        self.known: list[tuple[float, str]] = []
        self.clock = 0.0
        self.ticks: list[float] = []

    def score(self, chunk: Sequence[Labelled]) -> Any:
        cards = [msgspec.json.decode(row.value)["card"] for row in chunk]
        told = any(fraud for _, fraud in self.known)
        self.clock = chunk[-1].at
        asked = np.array([told or card == "tok_c0000000" for card in cards])
        return SimpleNamespace(
            place=np.arange(len(chunk)),
            amount=np.full(len(chunk), 100.0),
            outcome=np.where(asked, int(Outcome.verify), int(Outcome.approve)),
        )

    def labels(self, labels: Sequence[Known]) -> None:
        assert all(label.at >= self.clock for label in labels), "told before what came earlier was scored"
        self.known += [(label.at, label.fraud) for label in labels]

    def tick(self, at: float) -> None:
        self.ticks.append(at)


def attempt(number: int, after_s: float, response: str = "00", fraud: bool = True) -> Attempt:
    time = START + after_s
    sent = Transaction(
        id=f"t{number}",
        card=f"tok_c000000{number % 10}",
        time=moment(time),
        amount=100,
        currency="CNY",
        response_code=response,
    )
    return Attempt(time, number, sent, Truth(sent.id, fraud, "card_testing"))


def test_only_other_cards_within_the_hour_count() -> None:
    stream = [
        attempt(0, 0), attempt(1, 100), attempt(2, 299, fraud=False), attempt(3, 300), attempt(4, 400, "05"), attempt(10, 500),
        attempt(5, 3_899), attempt(6, 3_901),
    ]  # fmt: skip
    bank = AskingBank()
    answering = Answering(bank, {each.transaction.id: 7 for each in stream}, Pace(300.0, 86_400.0, 1_000.0))
    answering.take(stream)
    assert [each.asked for each in answering.tried] == [True, False, False, True, True, True, True, True]
    first = first_answers(answering.tried, 300.0)
    assert first == {7: (START + 300, "tok_c0000000")}
    # t3, t4 (refused: nothing went through) and t5; t10 is the card of the NO, t6 comes a second too late
    assert hour_after(answering.tried, first) == Hour(1, 3, 3, 200.0, 200.0)
    assert bank.ticks == [START + 1_000.0 * n for n in (1, 2, 3)]


def test_an_answer_that_comes_later_saves_nothing() -> None:
    stream = [attempt(0, 0), attempt(3, 300), attempt(4, 400)]
    answering = Answering(AskingBank(), {each.transaction.id: 1 for each in stream}, Pace(10_000.0, 86_400.0, 900.0))
    answering.take(stream)
    assert hour_after(answering.tried, {1: (START + 300, "tok_c0000000")}) == Hour(1, 2, 0, 200.0, 0.0)


def test_an_attack_tries_several_cards_at_one_shop() -> None:
    world = World(3, 100, START, parameters=PRESETS["everyone"].world)
    made, again = (
        attacks(world, [2, 5], CardTesting(world.merchants, CardTestingParameters(cards=20)), 20) for _ in range(2)
    )
    assert [[one.transaction for one in attack] for attack in made] == [
        [one.transaction for one in attack] for attack in again
    ]
    for attack, day in zip(made, (2, 5), strict=True):
        small = [one for one in attack if one.transaction.amount < 1_000]
        assert len({one.transaction.merchant for one in small}) <= 2, "one shop, and where a larger purchase follows"
        assert 1 < len({one.card for one in attack}) <= 20
        assert world.start + day * 86_400 < attack[0].time < world.start + (day + 1) * 86_400
        assert [one.time for one in attack] == sorted(one.time for one in attack)
