"""A policy file is read whole or refused with file, line and what to do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_texts import POLICY, SCHEMA, small_policy

from pipeline.core.decision import Actions, Outcome
from pipeline.core.policy import PolicyError, parse_policy


def test_a_policy_holds_what_its_file_says():
    policy = small_policy()
    assert policy.name == "small"
    assert [(each.score, each.outcome.name, each.reason) for each in policy.thresholds] == [
        (0.1, "notify", "score_notify"),
        (0.5, "verify", "score_verify"),
    ]
    assert [(rule.name, rule.outcome, rule.hard) for rule in policy.rules] == [
        ("large", Outcome.review, False),
        ("cash", Outcome.hold, False),
        ("listed", Outcome.verify, True),
        ("online", Outcome.hold, False),
    ]
    assert policy.rules[1].actions == Actions("approve", "hold", "verify", "none", "cash")
    assert [each.reason for each in policy.explanations] == ["large", "dear", "busy"]
    assert policy.columns == set(SCHEMA)


def test_a_card_action_without_scope_is_for_all():
    assert small_policy(POLICY.replace(', scope = "cash"', "")).rules[1].actions.scope == "all"


def test_the_version_changes_with_the_text_and_not_with_line_endings():
    version = small_policy().version
    assert version.startswith("small@")
    assert len(version) == len("small@") + 12
    assert small_policy(POLICY.replace("\n", "\r\n")).version == version
    assert small_policy(POLICY.replace("> 5", "> 6")).version != version


MISTAKES = [
    # (old, new, line, words of the message)
    ('name = "small"', 'name = "small', 1, "not valid TOML"),
    ('name = "small"', "name = 3", 1, "the policy has no name"),
    ('name = "small"', "", 1, "the policy has no name"),
    ('name = "small"', 'name = "Small!"', 1, "is no name"),
    ('name = "small"', 'name = "small"\n[[rules]]\nx = 1', 2, "unknown entry 'rules'"),
    ('name = "small"', 'name = "small"\nspeed = 1', 2, "unknown entry 'speed'"),
    ("score = 0.5", "score = 0.05", 9, "thresholds go upwards"),
    ("score = 0.5", "score = 50", 9, "a probability"),
    ("score = 0.5", 'score = "high"', 9, "Expected float, got str"),
    ("score = 0.5", "", 8, "missing required field score"),
    ('{ contact = "verify", queue = "review" }', '{ contact = "verfy" }', 10, "Invalid enum value 'verfy' (contact)"),
    ('{ contact = "verify", queue = "review" }', '{ conact = "verify" }', 10, "unknown field conact"),
    ('{ contact = "verify", queue = "review" }', "{}", 10, "nothing is done"),
    ('{ contact = "verify", queue = "review" }', '{ contact = "verify", scope = "cash" }', 10, "scope goes with"),
    ('contact = "notify"', 'transaction = "decline"', 9, "less than the decline"),
    ("amount_ratio > 5", "amount_ration > 5", 15, "did you mean amount_ratio"),
    ("amount_ratio > 5", "avg(amount) > 5", 15, "no such function"),
    ("and count_1h > 3", "and count_1h > '3'", 24, "compares a number with a text"),
    ("is_cash = 1\n", "is_cash\n", 23, "a number is not a condition"),
    ("[[rule]]\nname = \"cash\"\nwhen", "[[rule]]\nname = \"cash\"\nwen", 22, "unknown field wen"),
    ('name = "cash"', 'name = "large"', 21, "a second rule named large"),
    ('name = "cash"', 'name = "Cash out"', 21, "is no name"),
    ('figures = ["amount_ratio", "country"]', 'figures = ["amount_ration"]', 18, "unknown column 'amount_ration'"),
    ('figures = ["amount_ratio", "country"]', f"figures = {['amount'] * 7}", 18, "at most 6"),
    ("hard = true", 'hard = "yes"', 34, "Expected bool, got str"),
    ("weight = 3", "weight = 0", 56, "weight = 0: above 0"),
    ("weight = 3", "weight = nan", 56, "weight = nan"),
    ("amount / count_1h > 10", "amount / 0 > 10", 55, "divides by zero"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), MISTAKES, ids=[new[:30] for _, new, _, _ in MISTAKES])
def test_a_mistake_is_refused_with_its_line(old, new, line, message):
    assert old in POLICY
    with pytest.raises(PolicyError) as refused:
        small_policy(POLICY.replace(old, new, 1))
    assert str(refused.value).startswith(f"small.toml:{line}: ")
    assert message in str(refused.value)


def test_a_header_inside_a_condition_is_not_taken_for_a_table():
    text = POLICY.replace("is_cash = 1\n", "country <> '\n[[rule]]\n' and is_cash = 1\n").replace("= true", "= 7")
    with pytest.raises(PolicyError, match="Expected bool, got int") as refused:
        small_policy(text)
    assert str(refused.value).startswith("small.toml:36: ")


def test_more_tables_than_allowed_are_refused():
    rules = "".join(
        f'[[rule]]\nname = "r{number}"\nwhen = "true"\nactions = {{queue = "review"}}\nreason = "r"\n'
        for number in range(201)
    )
    with pytest.raises(PolicyError, match=r"f:1002: 201 \[\[rule\]\] tables; a policy has at most 200"):
        parse_policy('name = "many"\n' + rules, "f", SCHEMA)
    with pytest.raises(PolicyError, match="characters; a policy has at most"):
        parse_policy("#" * 200_001, "f", SCHEMA)


def test_a_reason_without_words_is_refused():
    known = {"score_notify", "score_verify", "large", "cash", "listed", "busy", "dear"}
    with pytest.raises(PolicyError, match=r"^f:40: no words for online: add it to reasons\.toml"):
        parse_policy(POLICY, "f", SCHEMA, known)
    parse_policy(POLICY, "f", SCHEMA, known | {"online"})


toml_values = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.sampled_from(['"x"', '"a > 1"', '"verify"'])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
keys = ["name", "when", "actions", "reason", "score", "hard", "figures", "weight", "code", "rule", "threshold"]
lines = st.lists(
    st.one_of(
        st.sampled_from(["[[rule]]", "[[threshold]]", "[[reason]]", "[rule]", 'name = "x"', "[[x", '"""', "[name]"]),
        st.builds("{} = {}".format, st.sampled_from(keys), toml_values.map(lambda value: str(value).replace("'", ""))),
        st.text(max_size=10),
    ),
    max_size=8,
)


@given(lines)
def test_whatever_the_text_it_is_a_policy_or_a_policy_error(text):
    refusal = "f:1: none"
    try:
        parse_policy("\n".join(text), "f", SCHEMA)
    except PolicyError as refused:
        refusal = str(refused)
    assert re.match(r"f:\d+: .", refusal)
