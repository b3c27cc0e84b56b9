"""The bandit that ranks ways: River's own where it is not reluctant, faithful to the given order where nothing better is
known, the same again for the same seed."""

from collections import Counter

import pytest
from river import bandit, proba

from models.reach import MARGIN, ReluctantThompson, expected, expected_order, ranked


def test_without_reluctance_it_pulls_what_rivers_thompson_sampling_pulls() -> None:
    ours = ReluctantThompson(0.0, proba.Beta(), seed=7)
    rivers = bandit.ThompsonSampling(proba.Beta(), seed=7)
    for number in range(200):
        pulled = ours.pull([0, 1, 2])
        assert pulled == rivers.pull([0, 1, 2])
        for policy in (ours, rivers):
            policy.update(pulled, (number * pulled) % 3 == 1)


def test_counts_at_once_are_updates_one_by_one() -> None:
    one_by_one = ReluctantThompson(MARGIN, proba.Beta(), seed=3)
    for arm, (reached, tried) in enumerate([(2, 9), (5, 7)]):
        for number in range(tried):
            one_by_one.update(arm, number < reached)
    assert [one_by_one._rewards[arm].alpha for arm in (0, 1)] == [3, 6]
    assert one_by_one.pull([0, 1]) == ranked([(2, 9), (5, 7)], seed=3, certainty=1)[0]


def firsts(counted: list[tuple[float, float]], draws: int = 400) -> Counter[int]:
    return Counter(ranked(counted, seed)[0] for seed in range(draws))


def test_the_same_seed_gives_the_same_order_and_others_explore() -> None:
    counted = [(3.0, 10.0), (4.0, 10.0), (2.5, 6.0)]
    assert {ranked(counted, 5) for _ in range(5)} == {ranked(counted, 5)}
    assert sorted(ranked(counted, 5)) == [0, 1, 2]
    assert set(firsts(counted)) == {0, 1, 2}


def test_what_reaches_more_comes_first_and_what_is_hardly_known_is_tried_now_and_then() -> None:
    assert firsts([(300.0, 1000.0), (500.0, 1000.0)])[1] == 400
    seldom = firsts([(300.0, 1000.0), (1.0, 5.0)])[1]
    assert 20 < seldom < 200


def test_where_all_are_alike_knowledge_brings_the_given_order_back() -> None:
    few, many = firsts([(4.0, 10.0)] * 3), firsts([(200.0, 500.0)] * 3)
    assert few[0] < 300
    assert many[0] > 390


def test_more_certainty_tries_less() -> None:
    counted = [(6.0, 12.0), (3.0, 10.0)]
    tried = [sum(ranked(counted, seed, certainty=c)[0] == 1 for seed in range(400)) for c in (1, 4)]
    assert tried[0] > 2 * tried[1] > 0


@pytest.mark.parametrize(("counted", "chance"), [((0, 0), 0.5), ((8, 8), 0.9), ((2.5, 6.0), 0.4375)])
def test_the_expected_chance_is_the_mean_of_the_belief(counted: tuple[float, float], chance: float) -> None:
    assert expected(counted) == pytest.approx(chance)


def test_the_expected_order_leaves_the_given_one_for_a_clear_gain_only() -> None:
    assert expected_order([(40.0, 100.0), (43.0, 100.0), (60.0, 100.0)]) == (2, 0, 1)
    assert expected_order([(0.0, 0.0)] * 3) == (0, 1, 2)
