"""A decision of the control group says what was withheld, and is otherwise what its milder actions say."""

import json

import pytest
from scorer_world import NOW, card_in, delivered_curve, delivered_money, records, transaction

from models.scorer import Model
from pipeline.core import encode
from pipeline.core.columns import SCHEMA
from pipeline.core.features import LAYOUT
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.scoring import score_poll

POLICY = """\
name = "everything"

[control_group]
share = 0.01
max_amount = 1000000

[[rule]]
name = "every_one"
when = "amount > 0"
actions = { queue = "review" }
reason = "amount_unusual"
"""


@pytest.fixture
def polled() -> ScoredPoll:
    model = Model.day_one(LAYOUT, delivered_curve())
    versions = Versions(parse_policy(POLICY, "p.toml", SCHEMA), model, delivered_money())
    sent = records(0, [transaction(f"t{number}", card_in(0, number)) for number in range(1_000)])
    return score_poll([Part(0, sent, {}, {})], versions, lambda card: 0, NOW, lambda: 0.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_what_was_withheld_stands_on_the_decision(
    compiled: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(encode, "COMPILED", compiled and encode.COMPILED)
    polled: ScoredPoll = request.getfixturevalue("polled")
    decisions = [json.loads(record.value or b"") for record in polled.decisions[0]]
    let_off = [decision for decision in decisions if "withheld" in decision]
    assert 2 <= len(let_off) <= 25  # 10 of 1,000
    assert {decision["withheld"] for decision in let_off} == {"review"}
    assert {decision["outcome"] for decision in let_off} == {"approve"}
    assert all(decision["actions"]["queue"] == "none" and decision["features"] for decision in let_off)
    assert sum(decision["outcome"] == "review" for decision in decisions) == 1_000 - len(let_off)
    assert polled.withheld == {"review": len(let_off)}
    assert polled.outcomes == {"approve": len(let_off), "review": 1_000 - len(let_off)}
