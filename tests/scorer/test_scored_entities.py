"""What a scorer writes into `scored` about where a transaction was made: enough to recompute the decision, and no
names of places."""

import numpy as np
from scorer_world import (
    NOW,
    card_in,
    delivered_curve,
    delivered_money,
    delivered_policy,
    place_of,
    records,
    trained_on_noise,
    transaction,
)

from models.scorer import Model
from pipeline.core.columns import SCHEMA
from pipeline.core.entities import digest_of
from pipeline.core.entity_history import EMPTY, NAMES, observe
from pipeline.core.entity_standing import standing, values
from pipeline.core.entity_table import BUCKETS, Bucket, EntityTable
from pipeline.core.features import CATALOGUE, ENTITY_FEATURES
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Part, ScoredPoll, Versions
from pipeline.core.scored import Scored, decode
from pipeline.core.scoring import score_poll

TILL = digest_of("till 7")
ROW = observe(EMPTY, NOW - 86_400, True, 0.0)


def known() -> Versions:
    table = EntityTable()
    table.take(Bucket(TILL % BUCKETS, 1, 1, ({TILL: ROW}, {}, {}), {}, {}, {}))
    return Versions(
        delivered_policy(), Model.trained(trained_on_noise(), delivered_curve()), delivered_money(), entities=table
    )


def poll(versions: Versions) -> ScoredPoll:
    card = card_in(0)
    messages = [
        transaction("a", card, terminal="till 7", merchant="shop", customer="cust-1", account="acc-1"),
        transaction("b", card, at=NOW + 1, merchant=None, account="acc-1"),
        transaction("r", card, at=NOW + 2, type="reversal", original_id="a", terminal="till 7"),
        transaction("c", card, at=NOW + 3, terminal="another"),
    ]
    return score_poll([Part(0, records(0, messages), {}, {})], versions, place_of, NOW, lambda: 0.0)


def scored(versions: Versions) -> Scored:
    (record,) = poll(versions).scored[0]
    return decode(record.value)


def test_digests_stand_beside_each_row_that_has_a_score_and_of_texts_only_the_customer() -> None:
    made = scored(known())
    made.check()
    assert made.ids == ["a", "b", "c"]
    assert made.digests("terminals").tolist() == [TILL, 0, digest_of("another")]
    assert made.digests("merchants").tolist() == [digest_of("shop"), 0, digest_of("m1")]
    assert made.digests("customers").tolist() == [digest_of("cust-1"), digest_of("acc-1"), 0]
    assert made.event_times().tolist() == [NOW, NOW + 1, NOW + 3]
    (record,) = poll(known()).scored[0]
    assert list(made.customer_ids) == ["cust-1", "", ""], "who is told of by that name on customer-state"
    for text in (b"till 7", b"shop", b"acc-1"):
        assert text not in record.value


def test_the_tables_values_that_were_used_are_kept_and_the_scores_follow_from_them() -> None:
    versions = known()
    made = scored(versions)
    matrix = made.matrix()
    assert matrix.shape == (3, len(CATALOGUE))
    first = len(CATALOGUE) - len(ENTITY_FEATURES)
    mine = matrix[0, first : first + len(NAMES)].tolist()
    assert mine == values(np.array([standing(ROW)]), np.array([NOW]))[0].tolist()
    assert np.isnan(matrix[1:, first:]).all()
    _, percentile, score = versions.model.scores(matrix)
    assert percentile.tobytes() == made.percentile
    assert score.tobytes() == made.score


def test_rules_may_speak_of_them() -> None:
    text = """
name = "tills"

[[rule]]
name = "bad_till"
when = "terminal_fraud_run >= 1"
actions = { queue = "review" }
reason = "bad_till"
"""
    versions = known()._replace(policy=parse_policy(text, "tills.toml", SCHEMA))
    assert poll(versions).rule_hits == {"bad_till": 1}
    assert poll(versions._replace(entities=EntityTable())).rule_hits == {}
