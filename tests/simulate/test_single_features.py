"""No single feature tells fraud from genuine, and yet the fraud is there to be found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.core.currencies import Money
from pipeline.core.features import FEATURES
from pipeline.core.profile import EMPTY_ROW, advance
from pipeline.core.transaction import decode
from pipeline.lab.simulate.places import FEN_PER_MINOR_UNIT
from pipeline.lab.simulate.stream import Stream
from pipeline.lab.simulate.world import World

START = 1_790_000_000.0
MONEY = Money("CNY", dict(FEN_PER_MINOR_UNIT))
SEEDS = (2, 4)


def average_precision(score: NDArray[np.float64], fraud: NDArray[np.bool_]) -> float:
    """Σ (Rₖ − Rₖ₋₁) · Pₖ over the distinct scores from the highest down: precision P and recall R of "score ≥ k".
    Equal scores are one step: no order among them is assumed."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    caught = np.cumsum(fraud[order])[ends]
    precision, recall = caught / (ends + 1), caught / fraud.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


@pytest.fixture(scope="module", params=SEEDS)
def month(request: pytest.FixtureRequest) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Features float64[n, F] and truth bool[n] of a month of 300 cards."""
    rows: dict[str, bytes] = {}
    features, fraud = [], []
    for attempt in Stream(World(request.param, 300, START)).history(30):
        event = decode(attempt.value(), int(attempt.time * 1000), MONEY)
        card = event.transaction.card
        rows[card], seen, _ = advance(rows.get(card, EMPTY_ROW), event)
        if seen is not None:
            features.append(seen)
            fraud.append(attempt.truth.fraud)
    return np.array(features), np.array(fraud)


def test_average_precision_of_known_orders() -> None:
    fraud = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), fraud) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros(4), fraud) == pytest.approx(0.5)
    assert average_precision(np.array([1.0, 0.0, 1.0, 0.0]), fraud) == 1.0


def test_no_single_feature_separates_fraud(month: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    features, fraud = month
    found = {}
    for column, feature in enumerate(FEATURES):
        for direction in (1.0, -1.0):
            for missing in (-np.inf, np.inf):
                score = direction * features[:, column]
                score[np.isnan(score)] = missing
                found[feature.name, direction, missing] = average_precision(score, fraud)
    best = max(found, key=lambda key: found[key])
    assert found[best] < 0.5, (best, found[best])
    assert found[best] > 5 * fraud.mean(), "fraud that nothing points to could not be found at all"


def test_fraud_is_a_small_share(month: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    _, fraud = month
    assert len(fraud) > 300 * 30 * 0.9
    assert 0.003 <= fraud.mean() <= 0.01
