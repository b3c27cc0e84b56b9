"""What a card's row learns, how it compares, and what it refuses to learn from."""

import math

import pytest
from card_events import DAY, NOON, purchase, regular, seen, walk

from pipeline.core.profile import EMPTY_ROW

near = pytest.approx


def test_an_ordinary_purchase_looks_ordinary() -> None:
    features = seen(regular(), purchase(NOON + DAY))
    assert features["amount_ratio"] == near(1, abs=0.1)
    assert features["amount_z"] == near(0, abs=0.5)
    assert features["count_24h_ratio"] == near(1, abs=0.25)
    assert features["sum_24h_ratio"] == near(1, abs=0.25)
    assert features["hour_rarity"] == 0
    for name in ("new_merchant", "new_country", "new_mcc", "new_entry_mode", "abroad"):
        assert features[name] == 0, name
    assert features["entry_mode_rare"] < 0.05
    assert features["transactions_seen"] == 20
    assert features["days_known"] == near(20, abs=0.01)


def test_a_departure_from_every_habit_is_seen() -> None:
    night = NOON + DAY + 14 * 3_600
    strange = purchase(night, 200_000.0, merchant="m2", mcc="7995", country="FR", entry_mode="ecommerce")
    features = seen(regular(), strange)
    assert features["amount_ratio"] == near(19, rel=0.1)
    assert features["amount_z"] > 5
    assert features["sum_24h_ratio"] > 5
    assert features["hour_rarity"] > 0.7
    for name in ("new_merchant", "new_country", "new_mcc", "new_entry_mode", "abroad"):
        assert features[name] == 1, name
    assert features["entry_mode_rare"] > 0.95


def test_one_huge_amount_does_not_become_a_habit() -> None:
    row = regular()
    poisoned = walk(row, [purchase(NOON + 3_600, 1e12)])
    usual, after = seen(row, purchase(NOON + 3 * DAY, 50_000.0)), seen(poisoned, purchase(NOON + 3 * DAY, 50_000.0))
    assert after["amount_ratio"] == near(usual["amount_ratio"], rel=0.1)
    assert after["amount_z"] == near(usual["amount_z"], rel=0.1)
    month = NOON + 3 * DAY
    # the counters do remember it for a while; the usual day hardly does
    assert seen(poisoned, purchase(month))["sum_24h_ratio"] > 1e3
    assert seen(poisoned, purchase(month + 60 * DAY))["sum_24h_ratio"] == near(1, abs=0.5)


def test_a_lasting_change_is_learned() -> None:
    row = walk(regular(), [purchase(NOON + day * DAY, 80_000.0) for day in range(1, 201)])
    assert seen(row, purchase(NOON + 201 * DAY, 80_000.0))["amount_ratio"] == near(1, abs=0.2)


def test_home_is_what_the_bank_says_else_where_most_spends_were() -> None:
    four = walk(EMPTY_ROW, [purchase(NOON + n, country="CN") for n in range(4)])
    assert math.isnan(seen(four, purchase(NOON + 9, country="FR"))["abroad"])
    five = walk(four, [purchase(NOON + 5, country="FR")])
    assert seen(five, purchase(NOON + 9, country="FR"))["abroad"] == 1
    assert seen(five, purchase(NOON + 9, country="CN"))["abroad"] == 0
    assert seen(five, purchase(NOON + 9, country="FR", home_country="FR"))["abroad"] == 0
    assert math.isnan(seen(five, purchase(NOON + 9, country=None))["abroad"])


def test_home_is_not_new_even_on_the_first_visit() -> None:
    assert seen(regular(), purchase(NOON + DAY, country="FR", home_country="FR"))["new_country"] == 0
    assert seen(regular(), purchase(NOON + DAY, country="FR", home_country="CN"))["new_country"] == 1


def test_a_tour_of_many_countries_does_not_make_home_new() -> None:
    row = walk(regular(), [purchase(NOON + n, country=code) for n, code in enumerate(["FR", "DE", "IT", "ES", "PT", "CH", "AT"])])  # fmt: skip
    assert seen(row, purchase(NOON + DAY))["new_country"] == 0
    assert seen(row, purchase(NOON + DAY, country="AT"))["new_country"] == 0
    assert seen(row, purchase(NOON + DAY, country="SE"))["new_country"] == 1


def test_the_last_sixteen_merchants_and_ten_categories_are_known() -> None:
    shops = [purchase(NOON + n, merchant=f"shop{n}", mcc=f"{5000 + n}") for n in range(17)]
    row = walk(EMPTY_ROW, shops)
    new = [seen(row, purchase(NOON + 60, merchant=f"shop{n}"))["new_merchant"] for n in range(17)]
    assert new == [1] + [0] * 16
    new = [seen(row, purchase(NOON + 60, mcc=f"{5000 + n}"))["new_mcc"] for n in range(17)]
    assert new == [1] * 7 + [0] * 10
    kept = walk(row, [purchase(NOON + 20, merchant="shop1", mcc="5010"), purchase(NOON + 21, merchant="shop99")])
    assert seen(kept, purchase(NOON + 60, merchant="shop1"))["new_merchant"] == 0
    assert seen(kept, purchase(NOON + 60, merchant="shop2"))["new_merchant"] == 1


def test_full_counters_are_halved_and_forget_nothing_rare() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, entry_mode="magstripe", country="FR")])
    row = walk(row, [purchase(NOON + n) for n in range(700)])
    features = seen(row, purchase(NOON + 800, entry_mode="magstripe", country="FR"))
    assert (features["new_entry_mode"], features["new_country"]) == (0, 0)
    assert features["entry_mode_rare"] > 0.9
    assert seen(row, purchase(NOON + 800))["hour_rarity"] == 0


def test_distance_and_speed_from_the_last_place() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, latitude=31.23, longitude=121.47)])  # Shanghai
    features = seen(row, purchase(NOON + 7_200, latitude=39.90, longitude=116.40))  # Beijing
    assert features["km_from_last"] == near(1_067, rel=0.01)
    assert features["speed_kmh"] == near(533, rel=0.01)
    at_once = seen(row, purchase(NOON, latitude=39.90, longitude=116.40))
    assert at_once["speed_kmh"] == near(1_067 * 60, rel=0.01)


def test_a_web_shop_is_no_place() -> None:
    row = walk(EMPTY_ROW, [purchase(NOON, latitude=31.23, longitude=121.47)])
    online = purchase(NOON + 60, latitude=52.0, longitude=13.0, entry_mode="ecommerce")
    assert math.isnan(seen(row, online)["km_from_last"])
    assert seen(walk(row, [online]), purchase(NOON + 90, latitude=31.23, longitude=121.47))["km_from_last"] < 0.01
    assert math.isnan(seen(row, purchase(NOON + 60))["speed_kmh"])


def test_what_was_spent_lately_is_told_in_usual_amounts() -> None:
    usual = seen(regular(), purchase(NOON + DAY))
    for name in ("mean_24h_ratio", "mean_7d_ratio", "max_14d_ratio"):
        assert usual[name] == near(1, abs=0.15), name
    declined = purchase(NOON + 7_200, 900_000.0, response_code="05")
    row = walk(regular(), [purchase(NOON + 3_600, 80_000.0), declined])
    after = seen(row, purchase(NOON + 3 * DAY))
    assert 1.1 < after["mean_24h_ratio"] < after["mean_7d_ratio"] < 4, "the large one has faded more in a day"
    assert after["max_14d_ratio"] == near(7.6, abs=0.4), "of what was spent, not of what was declined"
    late = seen(row, purchase(NOON + 3_600 + 14 * DAY))
    assert late["max_14d_ratio"] == 0
    assert seen(row, purchase(NOON + 3_599 + 14 * DAY))["max_14d_ratio"] == near(7.6, abs=0.4)
    for _ in range(8):
        row = walk(row, [purchase(NOON + 2 * DAY)])
    assert seen(row, purchase(NOON + 3 * DAY))["max_14d_ratio"] < 1.2, "the ring remembers eight"
    assert math.isnan(seen(walk(EMPTY_ROW, [purchase(NOON)] * 4), purchase(NOON + DAY))["max_14d_ratio"])
