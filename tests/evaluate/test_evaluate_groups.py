"""What a group of features buys: the ranking without what it adds; and it has a name in both languages."""

from typing import Any

import numpy as np
import pytest

from models.calibrate import PriorCurve
from models.scorer import Model
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.grounds import GROUPS, by_group
from pipeline.lab.evaluate.folds import Fold
from pipeline.lab.evaluate.groups import GroupsSeen
from pipeline.lab.evaluate.ranking import average_precision
from pipeline.lab.evaluate.results import over_groups
from pipeline.lab.evaluate.words import group_name

NAMES = [feature.name for feature in CATALOGUE]
DAY_ONE = Model.day_one(LAYOUT, PriorCurve(0.01, np.array([0.0, 100.0]), np.array([0.01, 0.02])))


class Taught:
    """Its log odds are the features themselves."""

    def grounds(self, matrix: np.ndarray) -> np.ndarray:
        return matrix


class Record:
    def __init__(self, matrix: np.ndarray) -> None:
        self._matrix = matrix

    def matrix(self) -> np.ndarray:
        return self._matrix


def rows(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """``amount`` says much, ``hour_of_day`` a little, ``is_cash`` nothing but noise."""
    draw = np.random.default_rng(1)
    fraud = draw.random(n) < 0.1
    matrix = np.zeros((n, len(NAMES)))
    matrix[:, NAMES.index("amount")] = draw.normal(0, 1, n) + 3.0 * fraud
    matrix[:, NAMES.index("hour_of_day")] = draw.normal(0, 0.5, n) + 0.5 * fraud
    matrix[:, NAMES.index("is_cash")] = draw.normal(0, 0.7, n)
    return matrix, fraud


def seen(matrix: np.ndarray, *models: Any) -> GroupsSeen:
    groups = GroupsSeen()
    for part, model in zip(np.array_split(matrix, len(models)), models, strict=True):
        groups.saw(Record(part), model)  # type: ignore[arg-type]
    return groups


def fold(n: int, test: slice = slice(None)) -> Fold:
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[test] = True
    return Fold(0, 1, chosen, chosen, np.zeros(n, dtype=np.int64))


def test_a_group_is_worth_what_the_ranking_loses_without_it() -> None:
    matrix, fraud = rows()
    bought = seen(matrix, Taught(), Taught()).bought(fold(len(matrix)), fraud)
    assert list(bought) == ["amount", "hour", "cash"], "the dearest first, and none that added nothing"
    whole = average_precision(fraud, matrix.sum(axis=1))
    without = average_precision(fraud, matrix.sum(axis=1) - matrix[:, NAMES.index("amount")])
    assert whole is not None
    assert without is not None
    assert bought["amount"] == pytest.approx(whole - without, abs=1e-6)
    assert bought["amount"] > 0.3
    assert bought["cash"] < 0.0, "noise only does harm"


def test_before_a_classifier_is_in_force_nothing_is_told() -> None:
    matrix, fraud = rows()
    for early in (None, DAY_ONE):
        groups = seen(matrix, early, Taught())
        assert groups.bought(fold(len(matrix)), fraud) == {}
        assert groups.bought(fold(len(matrix), slice(200, None)), fraud)["amount"] > 0.3


def test_groups_add_up_and_have_names() -> None:
    matrix = np.random.default_rng(2).normal(0, 1, (5, len(NAMES)))
    assert sum(by_group(matrix).values()) == pytest.approx(matrix.sum(axis=1))
    for code in GROUPS:
        assert group_name(code, "en") != group_name(code, "zh-CN")


def test_over_folds_a_group_of_no_worth_counts_as_nothing() -> None:
    spread = over_groups([{}, {"amount": 0.3, "hour": 0.1}, {"amount": 0.1}])
    assert list(spread) == ["amount", "hour"]
    assert (spread["amount"].mean, spread["hour"].mean) == (pytest.approx(0.2), pytest.approx(0.05))
    assert spread["hour"].n == 2
