"""The preset `habits`: cardholders keep their habits, thieves come in bursts, and every seed is another country."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.currencies import Money
from pipeline.core.transaction import decode, unix_seconds
from pipeline.lab.simulate.command import to_file
from pipeline.lab.simulate.habits import FRAUD_TYPES, STOLEN_NUMBER, Habits, HabitsParameters, Payments
from pipeline.lab.simulate.habits_kinds import CATEGORIES, SUBSCRIPTION, character
from pipeline.lab.simulate.presets import TABLE_PRESETS
from pipeline.lab.simulate.table import NotWritten

DAY_S = 86_400
NIGHT = (22, 23, 0, 1, 2, 3)
ONLINE = np.array([category.online for category in CATEGORIES])


@pytest.fixture(scope="module")
def country() -> Habits:
    return Habits(3, HabitsParameters())


@pytest.fixture(scope="module")
def half_year(country: Habits) -> Payments:
    return country.payments()


def hours(second: np.ndarray) -> np.ndarray:
    return second // 3_600 % 24


def test_fraud_is_half_a_per_cent_and_of_both_kinds(half_year: Payments) -> None:
    assert 0.004 < (half_year.fraud_type > 0).mean() < 0.0065
    assert np.bincount(half_year.fraud_type, minlength=len(FRAUD_TYPES)).min() > 300
    assert (np.diff(half_year.second) >= 0).all()
    assert half_year.second.max() < 183 * DAY_S


def test_thieves_come_in_bursts_at_night_for_more(half_year: Payments) -> None:
    fraud = half_year.fraud_type > 0
    assert (
        np.isin(hours(half_year.second[fraud]), NIGHT).mean()
        > 3 * np.isin(hours(half_year.second[~fraud]), NIGHT).mean()
    )
    assert np.median(half_year.amount[fraud]) > 4 * np.median(half_year.amount[~fraud])
    near = 0
    for card in np.unique(half_year.card[fraud]):
        theirs = half_year.second[fraud & (half_year.card == card)]
        gaps = np.diff(theirs)
        near += int((np.append(gaps, DAY_S * 9) < 2 * DAY_S).sum())
    assert near > 0.75 * fraud.sum(), "each has another within two days"


def test_a_stolen_number_is_used_online_only(half_year: Payments) -> None:
    assert ONLINE[half_year.category[half_year.fraud_type == STOLEN_NUMBER]].all()


def test_cardholders_have_favourites(half_year: Payments) -> None:
    genuine = (half_year.fraud_type == 0) & (half_year.category == 0)
    shares = []
    for card in range(0, 1_000, 25):
        visited = np.bincount(half_year.shop[genuine & (half_year.card == card)])
        shares.append(visited.max() / max(1, visited.sum()))
    assert np.median(shares) > 0.35, "of eight shops in town"


def test_subscriptions_are_the_same_every_month(half_year: Payments) -> None:
    monthly = half_year.category == SUBSCRIPTION
    assert monthly.sum() > 1_000
    assert not half_year.fraud_type[monthly].any()
    seen: dict[tuple[int, int, int], list[int]] = {}
    for card, shop, amount, second in zip(
        *(column[monthly].tolist() for column in (half_year.card, half_year.shop, half_year.amount, half_year.second)),
        strict=True,
    ):
        seen.setdefault((card, shop, amount), []).append(second)
    gaps = np.concatenate([np.diff(times) for times in seen.values()]) / DAY_S
    assert np.isin(np.round(gaps), (28, 29, 30, 31)).mean() > 0.97


def test_weekends_and_december_are_busier(country: Habits, half_year: Payments) -> None:
    genuine = half_year.fraud_type == 0
    per_day = np.bincount(half_year.second[genuine] // DAY_S, minlength=183)
    weekday = (np.arange(183) + 1) % 7  # 1 July 2025 was a Tuesday
    assert per_day[weekday >= 5].mean() > 1.08 * per_day[weekday < 5].mean()
    shopping = genuine & (half_year.category == 7)
    december = half_year.second[shopping] // DAY_S >= 153
    assert december.sum() / 30 > 1.2 * (~december).sum() / 153


def test_shops_lie_near_home_but_for_journeys_and_thieves(country: Habits, half_year: Payments) -> None:
    physical = ~ONLINE[half_year.category]
    genuine = physical & (half_year.fraud_type == 0)
    fraud = physical & (half_year.fraud_type > 0)
    home = np.array(
        [
            np.median(country.positions[half_year.shop[genuine & (half_year.card == card)]], axis=0)
            for card in range(200)
        ]
    )

    def far(chosen: np.ndarray) -> float:
        some = chosen & (half_year.card < 200)
        away = np.abs(country.positions[half_year.shop[some]] - home[half_year.card[some]]).max(axis=1)
        return float((away > 1.0).mean())

    assert 0.01 < far(genuine) < 0.2
    assert far(fraud) > 2 * far(genuine)


def test_every_seed_is_another_country() -> None:
    first, second = (character(np.random.default_rng(seed)) for seed in (1, 2))
    assert abs(np.log(first.thief_median / second.thief_median)).max() > 0.1
    assert first.fraud_share != second.fraud_share
    again = character(np.random.default_rng(1))
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in first._fields)


def test_the_seed_decides_and_every_record_is_usable(tmp_path: Path) -> None:
    preset = TABLE_PRESETS["habits"]
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        to_file(preset, seed, tmp_path / f"{name}.jsonl", cards=120, days=60)
    lines = (tmp_path / "a.jsonl").read_bytes()
    assert lines == (tmp_path / "b.jsonl").read_bytes()
    assert lines != (tmp_path / "c.jsonl").read_bytes()
    told = [json.loads(line) for line in lines.splitlines()]
    for line, record in zip(lines.splitlines(), told, strict=True):
        decode(line, int(unix_seconds(record["time"]) * 1000), Money("CNY", {"CNY": 1.0}))
        assert record["fraud"] == ("fraud_type" in record)
        assert ("latitude" in record) == (record["entry_mode"] in ("chip", "contactless", "magstripe"))
        assert record.get("recurring", False) == (record["initiator"] == "merchant")
    assert len({record["id"] for record in told}) == len(told)
    assert {record["country"] for record in told} > {"CN"}
    assert told[0]["time"].startswith("2025-07-01T")
    assert all(before["time"] <= after["time"] for before, after in pairwise(told))


def test_what_would_not_fit_is_refused() -> None:
    with pytest.raises(NotWritten, match="fewer cards or days"):
        Habits(1, HabitsParameters(cards=5_000_000))
