"""A rule over a customer's tag: from what the learner tells, over the decision, to what is kept of it."""

import json

import numpy as np
from scorer_world import KEY, NOW, card_in, delivered_curve, delivered_money, parse, place_of, records, transaction

from pipeline.core import scored as scored_record
from pipeline.core.entities import digest_of
from pipeline.core.poll import Part
from pipeline.core.scoring import score_poll
from pipeline.core.tag_table import TagLedger
from pipeline.core.told import seal_told
from pipeline.roles.scorer.knowledge import Knowledge

POLICY = """name = "tagged"
[[rule]]
name = "night"
when = "not has_tag('frequent') and amount >= 1000"
actions = { queue = "review" }
reason = "night"
"""


def told(knowledge: Knowledge, ledger: TagLedger) -> None:
    for one in ledger.tellings(1):
        assert knowledge.take_told(seal_told(one, KEY).value)


def test_what_the_learner_tells_decides_at_once_and_is_kept_with_the_decision() -> None:
    knowledge = Knowledge(parse(POLICY, "p"), delivered_money(), delivered_curve(), KEY, parse)
    card, customers = card_in(0), ("often", "seldom", None, "often")
    given = records(0, [
        {name: value for name, value in transaction(f"t{at}", card, NOW + at, customer=customer, account="often").items() if value}
        for at, customer in enumerate(customers)
    ])  # fmt: skip
    rows: dict[bytes, bytes] = {}

    def decided(piece: slice) -> tuple[list[str], scored_record.Scored]:
        poll = score_poll([Part(0, given[piece], rows, {})], knowledge.current, place_of, NOW, lambda: 0.0)
        outcomes = [json.loads(each.value)["outcome"] for each in poll.decisions[0]]
        return outcomes, scored_record.decode(poll.scored[0][0].value)

    outcomes, kept = decided(slice(0, 1))
    assert (outcomes, kept.tags_held()) == (["review"], [""]), "nothing told yet: nobody has a tag"
    ledger = TagLedger(("night_owl", "frequent"))
    ledger.put(digest_of("often"), 0b11)
    told(knowledge, ledger)
    outcomes, kept = decided(slice(1, 4))
    assert outcomes == ["review", "approve", "approve"], "without a customer the tag is missing, and no rule hits"
    assert kept.tags_held() == ["", None, "night_owl frequent"]
    assert not np.frombuffer(kept.tags, "<u8")[:2].any()
