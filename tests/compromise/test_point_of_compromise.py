"""Suspected places: by hand, against the exact chance, and how often a place is named where none leaks."""

from dataclasses import replace
from math import comb, exp, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.exposed_cards import Costs, exposed_cards, watched_until, worth
from pipeline.core.point_of_compromise import Looked, Window, poisson_tail, suspected, windows_of

DAYS = Window(100, 159)


def looked(there: np.ndarray, bad: np.ndarray, classes: np.ndarray, windows=(DAYS,), day=None, until=None) -> Looked:
    """What the archive would tell. ``there``: bool[cards, places]; ``bad``: indices of cards; each was there on ``day``."""
    day = np.full(there.shape, DAYS.first) if day is None else day
    card, place = np.nonzero(there[bad])
    count = int(classes.max()) + 1
    sizes = np.bincount(classes, minlength=count)
    shares = np.zeros((there.shape[1], len(windows), count))
    for number, window in enumerate(windows):
        within = there & (day >= window.first) & (day <= window.last)
        for each in range(count):
            shares[:, number, each] = within[classes == each].sum(axis=0) / max(1, sizes[each])
    until = np.full(len(bad), DAYS.last) if until is None else until
    return Looked(windows, classes[bad], until, place, card, day[bad][card, place], shares, there.shape[1])


def by_hand() -> Looked:
    """A hundred cards, ten of them bad, all of one class. Five cards were at place 0, all of them bad; place 1 saw 50,
    half of the bad ones among them."""
    there = np.zeros((100, 2), dtype=bool)
    there[:5, 0] = True
    there[5:10, 1] = there[20:65, 1] = True
    return looked(there, np.arange(10), np.zeros(100, dtype=np.int64))


def test_the_example_worked_by_hand() -> None:
    # place 0: 10 bad cards × 5/100 were expected: 0.5. P(X ≥ 5) ≤ e^-.5 · .5^5 / 120 · 6/5.5; two places, one window
    (place,) = suspected(by_hand(), by_chance=0.05)
    assert (place.place, place.bad, place.expected) == (0, (0, 1, 2, 3, 4), 0.5)
    assert place.by_chance == pytest.approx(2 * exp(-0.5) * 0.5**5 / 120 * 6 / 5.5, rel=1e-12)
    assert suspected(by_hand(), by_chance=1e-6) == []
    assert suspected(by_hand(), least=6) == []


def test_the_chance_told_is_never_below_the_exact_hypergeometric_one() -> None:
    exact = sum(comb(5, k) * comb(95, 10 - k) for k in range(5, 6)) / comb(100, 10)
    assert suspected(by_hand(), by_chance=0.05)[0].by_chance / 2 >= exact


@given(st.integers(1, 40), st.floats(0.001, 30))
def test_the_tail_is_bounded_closely(k: int, mean: float) -> None:
    exact = sum(exp(-mean) * mean**j / factorial(j) for j in range(k, k + 120))
    bound = float(poisson_tail(np.array([k]), np.array([mean]))[0])
    assert bound >= exact * (1 - 1e-9)
    if k >= 10 * mean:
        assert bound <= 1.02 * exact + 1e-300


def test_its_neighbour_is_not_named_with_the_leaking_place() -> None:
    there = np.zeros((1000, 40), dtype=bool)
    draws = np.random.default_rng(4)
    there[:, 2:] = draws.random((1000, 38)) < 0.02
    there[:20, 0] = True  # leaks: all its twenty cards go bad
    there[:18, 1] = there[500:520, 1] = True  # next door: most of them were there too
    found = suspected(looked(there, np.arange(30), np.zeros(1000, dtype=np.int64)))
    assert [each.place for each in found] == [0]


def test_two_places_that_leak_are_both_named() -> None:
    there = np.zeros((1000, 10), dtype=bool)
    there[:12, 3] = there[20:30, 7] = True
    found = suspected(looked(there, np.arange(40), np.zeros(1000, dtype=np.int64)))
    assert [(each.place, len(each.bad)) for each in found] == [(3, 12), (7, 10)]


def test_a_town_whose_cards_go_bad_names_no_shop_of_that_town() -> None:
    """Of two towns one has all the fraud: its shops are where its people go."""
    draws = np.random.default_rng(5)
    town = np.repeat([0, 1], 500)
    there = np.zeros((1000, 20), dtype=bool)
    there[:500, :10] = draws.random((500, 10)) < 0.5
    there[500:, 10:] = draws.random((500, 10)) < 0.5
    bad = draws.choice(500, 60, replace=False)
    assert suspected(looked(there, bad, town)) == []
    assert suspected(looked(there, bad, np.zeros(1000, dtype=np.int64))) != [], "without classes it would"


def test_the_days_on_which_it_leaked_are_found() -> None:
    draws = np.random.default_rng(6)
    there = np.zeros((2000, 30), dtype=bool)
    there[:, :] = draws.random((2000, 30)) < 0.1
    day = draws.integers(DAYS.first, DAYS.last + 1, there.shape)
    leaks = there[:, 0] & (day[:, 0] >= 120) & (day[:, 0] <= 128)
    bad = np.flatnonzero(leaks)
    (place,) = suspected(looked(there, bad, np.zeros(2000, dtype=np.int64), windows_of(DAYS), day))
    assert place.place == 0
    assert (place.seen.first, place.seen.last) == (120, 128)
    assert 118 <= place.exposed.first <= 120 <= 128 <= place.exposed.last <= 130


def test_a_card_that_was_bad_before_is_none_of_those_expected() -> None:
    there = np.zeros((100, 2), dtype=bool)
    there[:5, 0] = True
    late = Window(DAYS.first + 30, DAYS.last)
    until = np.array([DAYS.last] * 5 + [late.first - 1] * 5)
    day = np.full(there.shape, late.first)
    (place,) = suspected(
        looked(there, np.arange(10), np.zeros(100, dtype=np.int64), (late,), day, until), by_chance=0.05
    )
    assert place.expected == pytest.approx(0.25)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_where_no_place_leaks_few_are_named(seed: int) -> None:
    """Blind draws of bad cards, busy ones sooner, forty times: one place expected in a hundred looks."""
    draws = np.random.default_rng(seed)
    busy = draws.integers(0, 3, 400)
    there = draws.random((400, 60)) < np.array([0.01, 0.04, 0.15])[busy, None]
    weights = np.array([1.0, 2.0, 6.0])[busy]
    named = sum(
        len(suspected(looked(there, draws.choice(400, 20, False, weights / weights.sum()), busy))) for _ in range(40)
    )
    assert named <= 4, "0.4 are expected at most: five come once in 16,000 times"


@given(st.integers(0, 1000), st.integers(1, 6))
def test_names_do_not_depend_on_the_order_of_places_and_cards(seed: int, copies: int) -> None:
    draws = np.random.default_rng(seed)
    there = draws.random((300, 12)) < 0.05
    there[:8, draws.integers(12)] = True
    classes = draws.integers(0, copies, 300)
    order, cards = draws.permutation(12), draws.permutation(15)
    straight = suspected(looked(there, np.arange(15), classes))
    turned = suspected(looked(there[:, order], np.arange(15)[cards], classes))
    assert [each.place for each in straight] == [int(order[each.place]) for each in turned]


def test_windows_cover_all_days_and_lie_within_them() -> None:
    windows = windows_of(DAYS)
    assert windows[0] == DAYS
    assert all(DAYS.first <= each.first <= each.last <= DAYS.last for each in windows)
    assert {each.last - each.first + 1 for each in windows} == {7, 14, 28, 56, 60}
    assert windows_of(Window(5, 5)) == [Window(5, 5)]


def exposed(loss: float = 10_000.0):
    (place,) = suspected(by_hand(), by_chance=0.05)
    cards = np.array(["bad", "once", "twice", "twice, later"], dtype=object)
    place = replace_bad(place)
    return place, exposed_cards(
        place,
        cards,
        np.array([1, 1, 2, 2]),
        np.array([100, 100, 100, 101]),
        np.array([True, False, False, False]),
        loss,
    )


def replace_bad(place):
    return place._replace(bad=(0,), expected=0.4)


def test_exposed_cards_are_ranked_by_visits_then_by_how_lately() -> None:
    # one bad card, 0.4 by chance, six visits: a visit costs a card its data with a chance of 0.6 / 6
    place, found = exposed()
    assert found.card.tolist() == ["twice, later", "twice", "once"]
    assert found.risk == pytest.approx([0.19, 0.19, 0.1])
    assert found.loss == pytest.approx([1_900, 1_900, 1_000])
    assert found.rate == pytest.approx(0.15)
    # asking costs 0.2 · 200 = 40 a card and prevents half of 1,900 or 1,000; at ten times the price only the first two pay
    assert found.worth_watching(Costs()) == ["twice, later", "twice", "once"]
    assert found.worth_watching(Costs(call=3_000)) == ["twice, later", "twice"]
    assert watched_until(place) == (place.exposed.last + 61) * 86_400


def test_what_watching_and_reissuing_save_and_cost() -> None:
    costs = Costs(reissue=1_500, call=200, asked=0.5, prevented=0.25)
    saved = worth(exposed()[1], costs)
    assert saved.cards == 3
    assert (saved.expected_loss, saved.reissuing_saves) == (pytest.approx(4_800), pytest.approx(4_800))
    assert (saved.watching_saves, saved.watching_costs) == (pytest.approx(1_200), pytest.approx(300))
    assert (saved.reissuing_costs, saved.worth_reissuing) == (4_500, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        replace(costs, asked=1.5)
