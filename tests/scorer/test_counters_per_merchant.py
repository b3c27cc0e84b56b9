"""The bank's counters per merchant and customer from a transaction through the learner to another card's decision."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from scorer_world import KEY, NOW, card_in, delivered_curve, delivered_money, parse, place_of, records, transaction

from models.scorer import Model
from pipeline.adapters.memory import StoredRecord
from pipeline.core import scored as scored_record
from pipeline.core.entity_count_ledger import EntityCountWalk
from pipeline.core.entity_counters import explain_entity_counters
from pipeline.core.features import LAYOUT
from pipeline.core.lists import NO_LISTS
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.scoring import score_poll
from pipeline.core.told import Gathered, open_told, seal_told
from pipeline.core.topics import SCORED
from pipeline.roles.learner.counters_followed import CountersFollowed
from pipeline.roles.scorer.knowledge import Knowledge

POLICY = """name = "own"
[counters]
tested_here_10m = "count per merchant over 10m where amount < 500 and entry_mode = 'ecommerce'"
spent_24h = "sum(amount) per customer over 24h"
cards_here_1h = "distinct(card) per merchant over 1h where merchant <> 'big'"
[[rule]]
name = "testing"
when = "tested_here_10m >= 3"
actions = { transaction = "decline" }
reason = "many"
figures = ["tested_here_10m"]
"""
HOUR = 3_600.0


class World:
    """One scorer and one learner, a telling after each poll."""

    def __init__(self, policy: str = POLICY) -> None:
        self.knowledge = Knowledge(parse(policy, "f"), delivered_money(), delivered_curve(), KEY, parse)
        self.learner = CountersFollowed(None)
        self.offset = 0
        self.topic = Gathered()
        self.told: list[bytes] = []

    def score(self, messages: Iterable[dict[str, Any]], tell: bool = True) -> ScoredPoll:
        given = records(0, messages, first=self.offset)
        poll = score_poll([Part(0, given, {}, {})], self.knowledge.current, place_of, NOW, lambda: 0.0)
        for each in poll.scored.get(0, ()):
            self.learn(StoredRecord(0, self.offset, int((NOW + 9 * HOUR) * 1_000), each.key, each.value))
        self.offset += len(given)
        for told in self.learner.tellings(1) if tell else ():
            self.topic.take(told)
            self.told.append(sealed := seal_told(told, KEY).value)
            assert self.knowledge.take_told(sealed)
        return poll

    def learn(self, record: StoredRecord) -> None:
        scored = scored_record.decode(record.value or b"")
        scored.check()
        self.learner.scored(scored, np.ones(len(scored.ids), dtype=np.bool_), record)


def small(count: int, at: float, name: str, **changes: Any) -> list[dict[str, Any]]:
    """Small payments online at one shop, each with another card."""
    fields: dict[str, Any] = {"merchant": "shop", "entry_mode": "ecommerce", "amount": 100, **changes}
    return [transaction(f"{name}{n}", card_in(0, n), at + n, **fields) for n in range(count)]


def outcomes(poll: ScoredPoll) -> list[str]:
    return [json.loads(each.value)["outcome"] for each in poll.decisions[0]]


def values(poll: ScoredPoll) -> list[list[float]]:
    return [row for each in poll.scored[0] for row in scored_record.decode(each.value).counter_matrix().tolist()]


def begun() -> World:
    """Which has followed for two days."""
    world = World()
    world.score(small(1, NOW - 48 * HOUR, "first", merchant="other"))
    return world


def test_cards_tested_at_one_shop_decline_the_next_card_there_and_nowhere_else() -> None:
    world = begun()
    assert outcomes(world.score(small(4, NOW, "t", customer="c"))) == ["approve"] * 4, (
        "none of one poll knows of another"
    )
    poll = world.score([
        *small(1, NOW + 60, "next"),
        *small(1, NOW + 60, "elsewhere", merchant="another"),
        *small(1, NOW + 1_000, "later"),
        *small(1, NOW + 60, "none", merchant=None),
    ])  # fmt: skip
    assert outcomes(poll) == ["decline", "approve", "approve", "approve"]
    (said, *_) = [json.loads(each.value) for each in poll.decisions[0]]
    assert said["reasons"][0] == {"code": "many", "detail": {"tested_here_10m": 4}}
    assert said["features"]["tested_here_10m"] == 4
    found = values(poll)
    assert [row[0] for row in found[:3]] == [4, 0, 0]
    assert [row[2] for row in found[:3]] == [4, 0, 4]
    assert np.isnan([found[3][0], found[3][2]]).all(), "no merchant, no value"


def test_what_the_condition_leaves_out_is_not_counted_nor_what_is_taken_back() -> None:
    world = begun()
    world.score([
        *small(2, NOW, "chip", entry_mode="chip", customer="c", amount=300),
        *small(2, NOW, "large", amount=500, customer="c"),
        *small(2, NOW, "small", amount=499, customer="c"),
        *small(2, NOW, "back", type="reversal", original_id="x", customer="c"),
    ])  # fmt: skip
    (row,) = values(world.score(small(1, NOW + 60, "next", customer="c")))
    assert row == [2, 2 * (300 + 500 + 499), 2]


def test_what_counts_and_the_value_used_stand_in_scored_under_names_and_definitions() -> None:
    world = begun()
    kept = scored_record.decode(world.score(small(2, NOW, "t")).scored[0][0].value)
    policy = world.knowledge.current.policy
    assert tuple(kept.counters) == policy.counter_names == ("tested_here_10m", "spent_24h", "cards_here_1h")
    assert kept.counter_layout == policy.counter_layout != ""
    assert kept.layout == LAYOUT
    assert tuple(kept.counted_per_entity) == policy.entity_counters.definitions
    assert kept.hit_matrix()[:, :2].tolist() == [[1, 100], [1, 100]]


@pytest.mark.parametrize("size", [1, 3])
def test_a_counter_per_card_beside_them_keeps_its_own_column(size: int) -> None:
    world = World(POLICY.replace("[counters]\n", '[counters]\nown_1h = "count per card over 1h"\n'))
    world.score(small(1, NOW - 48 * HOUR, "first", merchant="other"))
    world.score(small(3, NOW, "t", customer="c"))
    poll = world.score(small(size, NOW + 60, "next", customer="c"))
    assert [row[:3] for row in values(poll)] == [[1, 3, 300]] * size
    assert scored_record.decode(poll.scored[0][0].value).counters[0] == "own_1h"


def test_a_learner_that_takes_over_goes_on_and_counts_nothing_twice() -> None:
    world = begun()
    poll = world.score(small(2, NOW, "t"))
    world.learner = CountersFollowed(world.topic)
    world.learn(StoredRecord(0, world.offset - 2, int((NOW + HOUR) * 1_000), None, poll.scored[0][0].value))
    world.score(small(1, NOW + 30, "more"))
    assert values(world.score(small(1, NOW + 60, "next")))[0][0] == 3
    assert open_told(world.told[0], KEY).read == {SCORED.name: {0: 1}}


def test_another_definition_begins_anew_and_another_name_goes_on() -> None:
    world = begun()
    world.score(small(3, NOW, "t"))

    def now_with(text: str) -> float:
        policy = parse(text, "f").in_force(NO_LISTS)
        world.knowledge.current = world.knowledge.current._replace(policy=policy)
        return values(world.score(small(1, NOW + 60, "next"), tell=False))[0][0]

    assert now_with(POLICY.replace("tested_here_10m", "tested")) == 3
    assert np.isnan(now_with(POLICY.replace("amount < 500", "amount < 501")))


def test_a_transaction_of_the_future_does_not_end_the_window_of_all_others() -> None:
    world = begun()
    world.score(small(3, NOW + 8 * HOUR + 3_590, "t"))
    world.score(small(1, NOW + 20 * HOUR, "future"))
    assert values(world.score(small(1, NOW + 9 * HOUR + 60, "next")))[0][0] == 4


def test_without_such_counters_nothing_is_added_to_scored_and_nothing_told() -> None:
    world = World('name = "x"')
    kept = scored_record.decode(world.score(small(2, NOW, "t")).scored[0][0].value)
    assert (kept.counter_layout, kept.counters, kept.counted) == ("", (), b"")
    assert (kept.counted_per_entity, kept.hits) == ((), b"")
    assert world.told == []


def test_hits_that_do_not_fit_their_record_are_refused() -> None:
    world = begun()
    kept = scored_record.decode(world.score(small(2, NOW, "t")).scored[0][0].value)
    kept.hits = kept.hits[:-8]
    with pytest.raises(ValueError, match="not one hit or none"):
        kept.check()


def test_in_one_process_too_what_is_taken_back_does_not_count() -> None:
    versions = Versions(
        parse(POLICY, "f"), Model.day_one(LAYOUT, delivered_curve()), delivered_money(), counts=EntityCountWalk()
    )
    given = records(0, [
        *small(1, NOW - 48 * HOUR, "first", merchant="other"), *small(2, NOW, "t"),
        *small(4, NOW, "back", type="reversal", original_id="x"), *small(1, NOW + 60, "next"),
    ])  # fmt: skip
    poll = score_poll([Part(0, given, {}, {})], versions, place_of, NOW, lambda: 0.0)
    assert values(poll)[-1][0] == 2


@pytest.mark.parametrize("size", [1, 2, 7])
def test_in_one_process_a_second_later_they_are_known(size: int) -> None:
    versions = Versions(
        parse(POLICY, "f"), Model.day_one(LAYOUT, delivered_curve()), delivered_money(), counts=EntityCountWalk()
    )
    messages = [*small(1, NOW - 48 * HOUR, "first", merchant="other"), *small(6, NOW, "t")]
    given = records(0, messages)
    rows: dict[bytes, bytes] = {}
    polls = [
        score_poll([Part(0, given[start : start + size], rows, {})], versions, place_of, NOW, lambda: 0.0)
        for start in range(0, len(given), size)
    ]
    said = [each for poll in polls for each in outcomes(poll)]
    assert said == ["approve"] * 4 + ["decline"] * 3
    assert [row[0] for poll in polls for row in values(poll)][1:] == [0, 1, 2, 3, 4, 5]


def test_each_is_explained_with_what_its_window_holds_too_much_and_how_old_it_is() -> None:
    tested, spent, cards = explain_entity_counters(parse(POLICY, "f").entity_counters)
    assert tested == (
        "tested_here_10m: per merchant, the last 10 min, and up to 1 min more; exact; without the transaction being "
        "decided, as the learner told it: about 1 s old, and what the learner lags behind; no value until the learner has "
        "followed it for 10 min"
    )
    assert spent.startswith("spent_24h: per customer, the last 1 d, and up to 2.4 h more; exact;")
    assert cards.startswith("cards_here_1h: per merchant, the last 1 h, and up to 6 min more; about: nine times in ten")
