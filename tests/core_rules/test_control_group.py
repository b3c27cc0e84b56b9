"""The control group: few, drawn by id alone, never where a hard rule spoke, and what was withheld is on record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_texts import POLICY, SCHEMA, columns

from pipeline.core.control_group import ControlGroup, milder
from pipeline.core.decide import CARD, CONTACT, QUEUE, TRANSACTION, decide
from pipeline.core.decision import APPROVE, Actions, Outcome, summarise
from pipeline.core.policy import PolicyError, parse_policy

GROUP = "[control_group]\nshare = 0.01\nmax_amount = 50000\n\n[[threshold]]\nscore = 0.1\n"
FIRST = "[[threshold]]\nscore = 0.1\n"


def policy(group=GROUP):
    return parse_policy(POLICY.replace(FIRST, group, 1), "p.toml", SCHEMA)


def drawn(share=0.01):
    """Ids of the group and ids outside it."""
    group = ControlGroup(share, 1e9)
    ids = [f"t{number}" for number in range(20_000)]
    return [each for each in ids if group.holds(each, 1.0)], [each for each in ids if not group.holds(each, 1.0)]


def decided(row, ident, group=GROUP):
    return decide(policy(group), columns({"amount": 100.0, **row}), 1, None, lambda index: ident)


def test_the_share_is_what_the_policy_says():
    inside, _ = drawn()
    assert 150 < len(inside) < 250  # 200 ± 14, three and a half deviations


def test_a_larger_share_keeps_who_was_in_the_smaller():
    assert set(drawn(0.005)[0]) < set(drawn(0.01)[0])


@pytest.mark.parametrize(
    ("row", "outcome", "withheld"),
    [
        ({"score": 0.2}, "approve", "notify"),
        ({"amount_ratio": 6}, "approve", "review"),
        ({"score": 0.6}, "review", "verify"),
        ({"is_cash": 1, "count_1h": 4}, "verify", "hold"),
    ],
)
def test_the_next_milder_outcome_is_taken(row, outcome, withheld):
    found = decided(row, drawn()[0][0])
    assert Outcome(found.outcome[0]).name == outcome
    assert summarise(found.actions(0)).name == outcome
    assert found.withheld(0) is Outcome[withheld]
    assert found.alerted.tolist() == [0]
    assert found.reasons(0) == decided(row, drawn()[1][0]).reasons(0)


def test_who_is_not_drawn_gets_what_the_policy_says():
    found = decided({"score": 0.6}, drawn()[1][0])
    assert Outcome(found.outcome[0]) is Outcome.verify
    assert found.withheld(0) is None


def test_a_hard_rule_is_never_set_aside():
    found = decided({"country": "XX", "score": 0.6}, drawn()[0][0])
    assert Outcome(found.outcome[0]) is Outcome.verify
    assert found.withheld(0) is None


@pytest.mark.parametrize("amount", [50_000.5, float("nan")])
def test_too_much_money_and_an_unknown_amount_are_not_risked(amount):
    found = decided({"score": 0.6, "amount": amount}, drawn()[0][0])
    assert Outcome(found.outcome[0]) is Outcome.verify


def test_without_a_group_nobody_is_let_off():
    found = decided({"score": 0.6}, drawn()[0][0], group=FIRST)
    assert found.withheld(0) is None
    assert "amount" in policy().columns  # asked for even where no rule names it


def test_nothing_found_is_not_in_the_group():
    found = decided({"score": 0.0}, drawn()[0][0])
    assert found.alerted.tolist() == []
    assert found.withheld(0) is None


every_action = st.builds(
    Actions, st.sampled_from(TRANSACTION), st.sampled_from(CARD), st.sampled_from(CONTACT), st.sampled_from(QUEUE)
).filter(lambda actions: actions != APPROVE)


@given(every_action)
def test_milder_is_milder_and_adds_nothing(actions):
    less = milder(actions)
    assert summarise(less) < summarise(actions)
    for part, order in (("transaction", TRANSACTION), ("card", CARD), ("contact", CONTACT), ("queue", QUEUE)):
        assert order.index(getattr(less, part)) <= order.index(getattr(actions, part))


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("share = 0.01", "share = 0.011"), 4, "up to 0.01"),
        (("share = 0.01", "share = 0"), 4, "above 0"),
        (("share = 0.01", "share = nan"), 4, "above 0"),
        (("max_amount = 50000", "max_amount = -1"), 5, "minor units above 0"),
        (("max_amount = 50000\n", ""), 3, "max_amount"),
        (("share = 0.01", "shore = 0.01"), 4, "shore"),
    ],
)
def test_a_group_that_is_wrong_is_refused_with_its_line(change, line, message):
    with pytest.raises(PolicyError) as refused:
        policy(GROUP.replace(*change))
    assert str(refused.value).startswith(f"p.toml:{line}: ")
    assert message in str(refused.value)
