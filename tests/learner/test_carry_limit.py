"""Above what the learner can carry, a fixed share of the ids is learned: the same ones at every reading."""

import asyncio

from learner_world import PLAN, Bank, features, put_rows

from pipeline.roles.learner.carry import Carry

IDS = [f"transaction-{number}" for number in range(4_000)]


def test_everything_below_the_limit() -> None:
    carry = Carry(1_000)
    assert all(carry.keep(second * 1_000, IDS[:1_000]) == [True] * 1_000 for second in range(5))


def test_about_the_limit_when_the_log_is_busier() -> None:
    carry = Carry(1_000)
    carry.keep(0, IDS)
    kept = [sum(carry.keep(1_000 + part * 250, IDS[part * 1_000 : part * 1_000 + 1_000])) for part in range(4)]
    assert 850 < sum(kept) < 1_150
    assert min(kept) > 150


def test_the_choice_depends_on_the_id_and_the_log_alone() -> None:
    def chosen(pieces: int) -> list[str]:
        carry = Carry(500)
        carry.keep(0, IDS)
        size = len(IDS) // pieces
        kept = []
        for start in range(0, len(IDS), size):
            ids = IDS[start : start + size]
            kept += [id_ for id_, keep in zip(ids, carry.keep(1_500, ids), strict=True) if keep]
        return kept

    assert chosen(1) == chosen(8)
    assert 0 < len(chosen(1)) < 1_000


def test_after_a_quiet_second_everything_is_learned_again() -> None:
    carry = Carry(1_000)
    carry.keep(0, IDS)
    assert sum(carry.keep(1_000, IDS[:100])) < 100
    assert sum(carry.keep(2_000, IDS[:100])) == 100
    assert sum(carry.keep(9_000, IDS[:100])) == 100


def test_the_learner_divides_the_limit_among_partitions_and_counts_what_it_left_out() -> None:
    bank = Bank(partitions=2, plan=PLAN._replace(max_rate=400))
    for partition in range(2):
        put_rows(bank.log, features(partition, 1_000), size=100, partition=partition)
    figures = asyncio.run(bank.until_idle())
    learned = figures["cardwatch_learned_total"]
    left_out = figures["cardwatch_learner_skipped_total/sampled_out"]
    assert left_out == 2_000 - learned
    assert 400 <= learned < 1_200
    assert max(max(s.positions.values()) for s in bank.log.snapshots()) > 500, "positions pass over what is left out"
