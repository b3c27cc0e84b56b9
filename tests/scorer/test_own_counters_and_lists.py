"""The bank's own counters and lists from a transaction to its decision: rules see them, decisions tell them, `scored`
keeps them; a policy without any decides as before."""

import asyncio
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scorer_world import KEY, NOW, card_in, delivered_curve, delivered_money, parse, place_of, records, transaction

from models.scorer import Model
from pipeline.adapters.files import WatchedFile
from pipeline.app.configuration import ListFolder
from pipeline.core import scored as scored_record
from pipeline.core.features import LAYOUT
from pipeline.core.lists import NO_LISTS, Lists, parse_list
from pipeline.core.policy import Policy, PolicyError
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.scoring import score_poll
from pipeline.roles.scorer.knowledge import Knowledge
from pipeline.settings import Settings

COUNTERS = """name = "own"
[counters]
online_10m = "count per card over 10m where entry_mode = 'ecommerce'"
spent_1h = "sum(amount) per card over 1h where amount > 1000"
"""
MANY = """
[[rule]]
name = "many"
when = "online_10m >= 3"
actions = { queue = "review" }
reason = "many"
figures = ["online_10m"]
"""
HOT = """
[[rule]]
name = "hot"
when = "in_list(merchant, 'hot')"
actions = { contact = "verify" }
reason = "hot"
"""
BOUND_S = 20.0


def hot(*merchants: str) -> Lists:
    entries = "".join(f'"{merchant}" = "always"\n' for merchant in merchants)
    return Lists([parse_list("hot", f'column = "merchant"\n[entries]\n{entries}', "hot.toml")])


def scored(policy: Policy, messages: list[dict[str, object]], size: int, lists: Lists = NO_LISTS) -> list[ScoredPoll]:
    model = Model.day_one(LAYOUT, delivered_curve())
    versions = Versions(policy.in_force(lists), model, delivered_money(), lists=lists)
    rows: dict[bytes, bytes] = {}
    given = records(0, messages)
    return [
        score_poll([Part(0, given[start : start + size], rows, {})], versions, place_of, NOW, lambda: 0.0)
        for start in range(0, len(given), size)
    ]


def online(count: int) -> list[dict[str, object]]:
    card = card_in(0)
    return [
        transaction(f"t{number}", card, NOW + number, entry_mode="ecommerce", amount=700 * number)
        for number in range(count)
    ]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_rule_over_a_counter_speaks_and_its_value_is_told_and_kept(size: int) -> None:
    polls = scored(parse(COUNTERS + MANY, "f"), online(5), size)
    decisions = [json.loads(each.value) for poll in polls for each in poll.decisions[0]]
    assert [decision["outcome"] for decision in decisions] == ["approve"] * 2 + ["review"] * 3
    assert decisions[3]["reasons"][0] == {"code": "many", "detail": {"online_10m": 4}}
    assert decisions[3]["features"]["online_10m"] == 4
    assert decisions[3]["features"]["spent_1h"] == pytest.approx(3_500, rel=1e-4)
    kept = [scored_record.decode(each.value) for poll in polls for each in poll.scored[0]]
    assert {tuple(each.counters) for each in kept} == {("online_10m", "spent_1h")}
    assert {each.counter_layout for each in kept} == {parse(COUNTERS, "f").counters.layout}
    assert {each.layout for each in kept} == {LAYOUT}
    matrix = np.concatenate([each.counter_matrix() for each in kept])
    assert matrix[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert matrix[-1, 1] == pytest.approx(1_400 + 2_100 + 2_800, rel=1e-4)


def test_each_partition_s_transactions_are_matched_as_its_own() -> None:
    policy = parse(COUNTERS, "f")
    model = Model.day_one(LAYOUT, delivered_curve())
    parts = [
        Part(number, records(number, [transaction(f"t{number}{each}", card_in(number), NOW, entry_mode=mode)
                                      for each in range(2)]), {}, {})
        for number, mode in ((0, "chip"), (1, "ecommerce"), (2, "chip"))
    ]  # fmt: skip
    poll = score_poll(parts, Versions(policy, model, delivered_money()), place_of, NOW, lambda: 0.0)
    kept = [scored_record.decode(poll.scored[number][0].value).counter_matrix()[:, 0].tolist() for number in range(3)]
    assert kept == [[0, 0], [1, 2], [0, 0]]


def test_an_unknown_counter_hits_nothing_and_is_not_told() -> None:
    policy, plain = parse(COUNTERS + MANY.replace(">= 3", ">= 0 or amount = 0"), "f"), parse('name = "x"', "f")
    rows: dict[bytes, bytes] = {}
    given = records(0, online(3))
    for one, records_ in ((plain, given[1:2]), (policy, [given[2], given[0]])):
        model = Model.day_one(LAYOUT, delivered_curve())
        poll = score_poll(
            [Part(0, records_, rows, {})], Versions(one, model, delivered_money()), place_of, NOW, lambda: 0.0
        )
    decisions = [json.loads(each.value) for each in poll.decisions[0]]
    assert [decision["outcome"] for decision in decisions] == ["approve", "review"]
    assert "online_10m" not in decisions[1]["features"]
    assert math.isnan(scored_record.decode(poll.scored[0][0].value).counter_matrix()[0, 0])


def test_without_counters_nothing_is_added_to_scored() -> None:
    (poll,) = scored(parse('name = "x"', "f"), online(2), 2)
    kept = scored_record.decode(poll.scored[0][0].value)
    assert (kept.counter_layout, kept.counters, kept.counted) == ("", (), b"")
    assert kept.counter_matrix().shape == (2, 0)
    assert b"counter" not in poll.scored[0][0].value


def test_a_rule_over_a_list_speaks_and_the_version_says_with_which() -> None:
    policy = parse('name = "x"\n' + HOT, "f")
    outcomes, versions = [], set()
    for merchants in (("m1", "m2"), ("m2",)):
        (poll,) = scored(policy, online(1), 1, hot(*merchants))
        decision = json.loads(poll.decisions[0][0].value)
        outcomes.append(decision["outcome"])
        versions.add(decision["policy_version"])
        assert scored_record.decode(poll.scored[0][0].value).policy_version == decision["policy_version"]
    assert outcomes == ["verify", "approve"]
    assert len(versions) == 2


# --- while it runs


class Bank:
    """A policy and lists as files, and a scorer's knowledge that follows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "lists").mkdir()
        self.policy(HOT)
        self.list("m1")
        self.source = WatchedFile(folder / "policy.toml")
        self.lists = ListFolder(Settings(config_dir=folder))
        self.knowledge = Knowledge(
            parse(*self.source.read()), delivered_money(), delivered_curve(), KEY, parse, self.lists.read()
        )

    def policy(self, rules: str) -> None:
        (self.folder / "policy.toml").write_text('name = "x"\n' + rules)

    def list(self, *merchants: str, name: str = "hot") -> None:
        entries = "".join(f'"{merchant}" = "always"\n' for merchant in merchants)
        (self.folder / "lists" / f"{name}.toml").write_text(f'column = "merchant"\n[entries]\n{entries}')

    def look(self) -> str:
        """What a running scorer does twice a second; the version in force then."""
        if self.lists.changed():
            self.knowledge.take_lists(self.lists.read())
        self.knowledge.reload_if_new(self.source)
        return self.knowledge.current.policy.version


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path)


def test_a_changed_list_is_in_force_at_once_under_another_version(bank: Bank) -> None:
    before = bank.look()
    bank.list("m1", "m2")
    after = bank.look()
    assert before != after
    assert before.split("+")[0] == after.split("+")[0]
    assert set(bank.knowledge.current.lists.by_name["hot"].until) == {"m1", "m2"}


def test_a_list_that_the_policy_asks_cannot_go(bank: Bank) -> None:
    before = bank.look()
    (bank.folder / "lists" / "hot.toml").unlink()
    assert bank.look() == before
    assert "hot" in bank.knowledge.current.lists.by_name
    bank.policy("")
    assert bank.look().partition("+")[1] == ""
    assert not bank.knowledge.current.lists.by_name


def test_a_policy_that_asks_a_new_list_waits_for_it(bank: Bank) -> None:
    before = bank.look()
    bank.policy(HOT.replace("'hot'", "'colder'"))
    assert bank.look() == before
    bank.list("m3", name="colder")
    assert bank.look() != before
    assert set(bank.knowledge.current.lists.by_name) == {"hot", "colder"}


def test_a_policy_and_its_lists_may_change_together(bank: Bank) -> None:
    bank.look()
    bank.policy(HOT.replace("'hot'", "'colder'"))
    bank.list("m3", name="colder")
    (bank.folder / "lists" / "hot.toml").unlink()
    bank.look()
    assert set(bank.knowledge.current.lists.by_name) == {"colder"}
    (use,) = bank.knowledge.current.policy.lists
    assert use.name == "colder"


def test_whichever_of_both_is_seen_first(bank: Bank) -> None:
    bank.look()
    bank.policy(HOT.replace("'hot'", "'colder'"))
    bank.knowledge.reload_if_new(bank.source)
    bank.list("m3", name="colder")
    (bank.folder / "lists" / "hot.toml").unlink()
    bank.look()
    assert set(bank.knowledge.current.lists.by_name) == {"colder"}
    assert bank.knowledge.current.policy.unmet(bank.knowledge.current.lists) == []


def test_a_scorer_does_not_start_with_a_policy_whose_lists_are_missing() -> None:
    with pytest.raises(PolicyError, match="there is no such list"):
        Knowledge(parse('name = "x"\n' + HOT, "p.toml"), delivered_money(), delivered_curve(), KEY, parse)


def test_a_running_scorer_follows_its_lists_and_survives_a_wrong_one(bank: Bank) -> None:
    async def follow() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(bank.knowledge.follow_lists(bank.lists, stop))
        first = bank.knowledge.current
        (bank.folder / "lists" / "hot.toml").write_text("column = 3")
        while bank.lists.changed():
            await asyncio.sleep(0.01)
        assert bank.knowledge.current is first
        bank.list("m1", "m2", "m3")
        while bank.knowledge.current is first:
            await asyncio.sleep(0.01)
        stop.set()
        await task

    asyncio.run(asyncio.wait_for(follow(), BOUND_S))
    assert len(bank.knowledge.current.lists.by_name["hot"].until) == 3
