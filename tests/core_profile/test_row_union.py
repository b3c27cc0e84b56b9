"""A row that takes over another card's history is the row of one card that did both."""

import math

import pytest
from card_events import DAY, NOON, event, purchase, regular, seen, walk
from hypothesis import given, settings
from hypothesis import strategies as st
from test_card_row_properties import transactions

from pipeline.core import profile_row as layout
from pipeline.core.counter_slots import MASKS
from pipeline.core.features import FEATURES
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.profile_row import NUMBERS, check_row
from pipeline.core.row_union import united
from pipeline.core.transaction import Event

ORDERED = (20, 21, 23)
"""Mean and deviation of amounts, and what is usually spent: how much an amount moves them depends on those before it."""

attempts = st.builds(
    purchase,
    st.floats(NOON - 20 * DAY, NOON).map(round).map(float),
    st.sampled_from([0.0, 100.0, 9_999.0, 250_000.0]),
    kind=st.sampled_from(["purchase", "cash", "verification"]),
    country=st.sampled_from(["CN", "FR", "US"]),
    mcc=st.sampled_from(["5411", "6011", "5999"]),
    merchant=st.sampled_from(["m1", "m2", "m3"]),
    response_code=st.sampled_from(["00", "05", None]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(attempts, max_size=12), st.lists(attempts, max_size=12))
def test_two_cards_counters_are_those_of_one_card_that_did_both(own: list[Event], other: list[Event]) -> None:
    own, other = sorted(own, key=lambda each: each.at), sorted(other, key=lambda each: each.at)
    one_card = walk(EMPTY_ROW, sorted(own + other, key=lambda each: each.at))
    for row in (
        united(walk(EMPTY_ROW, own), walk(EMPTY_ROW, other)),
        united(walk(EMPTY_ROW, other), walk(EMPTY_ROW, own)),
    ):
        found, expected = list(NUMBERS.unpack_from(row)), list(NUMBERS.unpack_from(one_card))
        for number in ORDERED:
            found[number] = expected[number] = 0.0
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4, nan_ok=True)
        for part in (slice(layout.HOURS, layout.MODES), slice(layout.MODES, layout.COUNTRY_COUNTS)):
            assert row[part] == one_card[part]
        for part in (slice(layout.COUNTRY_COUNTS, layout.COUNTRIES),):
            assert sorted(row[part]) == sorted(one_card[part])


@settings(max_examples=60, deadline=None)
@given(st.lists(transactions(), max_size=12), st.lists(transactions(), max_size=12), transactions())
def test_any_two_histories_unite_to_a_row_that_goes_on(own: list[Event], other: list[Event], following: Event) -> None:
    first, second = walk(EMPTY_ROW, own), walk(EMPTY_ROW, other)
    assert united(first, EMPTY_ROW) == first == united(EMPTY_ROW, first), "to the byte"
    row = united(first, second)
    check_row(row)
    row, features, handling = advance(row, following)
    check_row(row)
    assert features is not None or handling == Handling.repeat
    for feature, value in zip(FEATURES, features or (), strict=bool(features)):
        assert math.isfinite(value) or math.isnan(value), feature.name


def test_the_new_card_is_compared_with_the_old_cards_habits() -> None:
    new = walk(EMPTY_ROW, [purchase(NOON + 3_600.0, merchant="new")])
    dear = purchase(NOON + 7_200.0, 400_000.0)
    assert math.isnan(seen(new, dear)["amount_ratio"]), "five purchases make a habit"
    after = seen(united(new, regular()), dear)
    assert after["amount_ratio"] == pytest.approx(40, rel=0.1)
    assert after["new_merchant"] == 0.0
    assert after["transactions_seen"] == 21.0
    assert after["seconds_since_last"] == 3_600.0


def test_amounts_of_two_cards_deviate_by_what_lies_between_them() -> None:
    low = walk(EMPTY_ROW, (purchase(NOON + at, 1_000.0) for at in range(20)))
    high = walk(EMPTY_ROW, (purchase(NOON + at, 100_000.0) for at in range(20)))
    mean, deviation = NUMBERS.unpack_from(united(low, high))[20:22]
    assert mean == pytest.approx((math.log1p(1_000.0) + math.log1p(100_000.0)) / 2, rel=1e-5)
    assert deviation == pytest.approx(math.log(100_000.0 / 1_000.0) / 2, rel=0.01)


def test_a_transaction_of_the_old_card_sent_again_under_the_new_token_is_a_repeat() -> None:
    old = walk(EMPTY_ROW, [purchase(NOON + at, id=f"old-{at}") for at in range(10)])
    new = walk(EMPTY_ROW, [purchase(NOON + 20 + at, id=f"new-{at}") for at in range(3)])
    row = united(new, old)
    remembered = [f"new-{at}" for at in range(3)] + [f"old-{at}" for at in range(9, 4, -1)]
    for identifier in remembered:
        assert advance(row, event(NOON + 60, id=identifier))[2] == Handling.repeat, identifier
    assert advance(row, event(NOON + 60, id="old-4"))[2] == Handling.scored, "the last eight of both"


def test_the_banks_counters_are_the_new_cards_own_once_it_has_attempts() -> None:
    def marked(row: bytes, byte: int) -> bytes:
        slots = bytes((byte, 1)) + bytes(MASKS - 2) + bytes(range(byte, byte + 8))
        return row[: layout.SPARE] + slots + row[layout.RING :]

    old = marked(walk(EMPTY_ROW, [purchase(NOON + at) for at in range(0, 16, 2)]), 100)
    new = marked(walk(EMPTY_ROW, [purchase(NOON + at) for at in (21, 23)]), 7)
    spare = united(new, old)[layout.SPARE : layout.RING]
    assert spare[0] == 7
    assert sorted(spare[MASKS:]) == [0] * 6 + [7, 8], "which counter counted what moves with the transactions"
    refund = marked(walk(EMPTY_ROW, [event(NOON + 1, kind="refund")]), 7)
    assert united(refund, old)[layout.SPARE] == 100, "a card without attempts has counted nothing"
