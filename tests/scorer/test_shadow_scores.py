"""Challengers score beside the model that decides, and change nothing of what it decides."""

import json
from dataclasses import replace

import numpy as np
from scorer_world import (
    KEY,
    NOW,
    card_in,
    delivered_curve,
    delivered_money,
    delivered_policy,
    parse,
    place_of,
    records,
    trained_on_noise,
    transaction,
)

from models.snapshot import Snapshot, seal
from pipeline.core.poll import Part, ScoredPoll
from pipeline.core.scored import decode
from pipeline.core.scoring import score_poll
from pipeline.roles.scorer.knowledge import Knowledge

CARD = card_in(0)
MESSAGES = [
    transaction(
        f"x{number}", CARD, NOW + 60 * number, amount=1_000 if number % 7 else 90_000_000, merchant=f"m{number}"
    )
    for number in range(60)
] + [transaction("back", CARD, NOW + 4_000, type="reversal", original_id="x1")]


def knowing(*challengers: tuple[str, Snapshot]) -> Knowledge:
    knowledge = Knowledge(delivered_policy(), delivered_money(), delivered_curve(), KEY, parse)
    assert knowledge.take_model(seal(trained_on_noise(epoch=3), KEY))
    for name, made in challengers:
        assert knowledge.take_challenger(name, seal(made, KEY))
    return knowledge


def challenger(name: str, seed: int, share: float = 1.0, epoch: int = 3) -> tuple[str, Snapshot]:
    return name, replace(trained_on_noise(epoch=epoch, seed=seed), model=name, share=share)


def scored(knowledge: Knowledge) -> ScoredPoll:
    made = records(0, MESSAGES)
    return score_poll([Part(0, made, {}, {})], knowledge.current, place_of, NOW, lambda: 0.0)


def test_the_decisions_are_the_same_but_for_what_they_tell_of_the_challengers() -> None:
    plain, both = scored(knowing()), scored(knowing(challenger("a", 8), challenger("b", 9, share=0.5)))
    assert any("shadow" not in json.loads(out.value) for out in both.decisions[0]), "most say no more than yes"
    for before, after in zip(plain.decisions[0], both.decisions[0], strict=True):
        told = json.loads(after.value)
        shadow = told.pop("shadow", [])
        assert told == {name: value for name, value in json.loads(before.value).items() if name != "shadow"}
        assert before.headers == after.headers
        if told["outcome"] != "approve":
            assert shadow
        else:
            assert not shadow or any(one["outcome"] != "approve" for one in shadow)
    assert decode(plain.scored[0][0].value).shadows == ()


def test_scored_keeps_every_score_of_every_challenger_and_none_outside_its_share() -> None:
    knowledge = knowing(challenger("a", 8), challenger("b", 9, share=0.5))
    record = decode(scored(knowledge).scored[0][0].value)
    record.check()
    first, second = (one.model for one in knowledge.current.challengers)
    assert record.shadows == [first.version, second.version]
    kept, matrix = record.shadow_matrix(), record.matrix()
    assert kept[:, 0].tolist() == first.scores(matrix)[2].tolist()
    asked = ~np.isnan(kept[:, 1])
    assert 10 < asked.sum() < 50
    assert kept[asked, 1].tolist() == second.scores(matrix)[2][asked].tolist()
    smaller = decode(scored(knowing(challenger("a", 8, share=0.2))).scored[0][0].value).shadow_matrix()[:, 0]
    assert (~np.isnan(smaller) <= asked).all(), "a smaller share is a part of a larger one"
    assert len(MESSAGES) == len(kept) + 1, "a reversal has no score"


def test_its_outcome_is_that_of_the_policy_by_its_score() -> None:
    name, made = challenger("a", 8)
    other = Knowledge(delivered_policy(), delivered_money(), delivered_curve(), KEY, parse)
    assert other.take_model(seal(made, KEY))
    alone = {out["id"]: out["outcome"] for out in map(json.loads, (o.value for o in scored(other).decisions[0]))}
    seen = 0
    for out in scored(knowing((name, made))).decisions[0]:
        told = json.loads(out.value)
        for shadow in told.get("shadow", ()):
            assert shadow["outcome"] == alone[told["id"]]
            assert shadow["model_version"] == made.version
            seen += 1
    assert seen


def test_challengers_come_go_and_leave_their_part_when_promoted() -> None:
    knowledge = knowing(challenger("a", 8), challenger("b", 9))
    assert len(knowledge.current.challengers) == 2
    assert knowledge.take_challenger("a", b"")
    assert [one.model.version for one in knowledge.current.challengers] == [challenger("b", 9)[1].version]
    assert not knowledge.take_challenger("c", seal(challenger("d", 9)[1], KEY)), "under another's name"
    assert not knowledge.take_challenger("c", seal(challenger("c", 9, epoch=2)[1], KEY)), "of a learner that is over"
    assert not knowledge.take_challenger("c", seal(challenger("c", 9)[1], b"some other key, as long"))
    assert knowledge.take_model(seal(replace(challenger("b", 9, epoch=4)[1], learned=400), KEY))
    assert knowledge.current.challengers == ()
    for number in range(7):
        knowledge.take_challenger(*(lambda pair: (pair[0], seal(pair[1], KEY)))(challenger(f"n{number}", 8, epoch=4)))
    assert len(knowledge.current.challengers) == 4, "each costs every poll"
