"""The catalogue: names others write against, words for people, and scaling that knows no batch."""

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from card_events import NOON, purchase, seen
from hypothesis import given
from hypothesis import strategies as st

from models.surprise import SurprisePlan
from pipeline.core.features import CATALOGUE, FEATURES, LAYOUT, MODEL_FEATURES, NUMBER_OF, SURPRISE_FEATURES, UNIT
from pipeline.core.profile import EMPTY_ROW

AGREED = (
    "amount amount_ratio amount_z count_1m count_10m count_1h count_24h count_7d sum_1m sum_10m sum_1h sum_24h sum_7d "
    "count_24h_ratio sum_24h_ratio cash_count_24h cash_count_7d is_cash new_merchant new_country new_mcc "
    "new_entry_mode entry_mode_rare hour_rarity seconds_since_last km_from_last speed_kmh declines_1h declines_24h "
    "card_checks_1h abroad transactions_seen days_known mean_24h_ratio mean_7d_ratio max_14d_ratio"
)


def test_the_agreed_names_are_there_in_order_each_with_words() -> None:
    assert [feature.name for feature in FEATURES] == AGREED.split()
    assert all(feature.en and feature.zh for feature in FEATURES)
    assert 15 <= len(MODEL_FEATURES) < len(FEATURES)
    assert len(LAYOUT) == 16


def test_every_feature_is_in_the_place_its_name_says() -> None:
    features = seen(EMPTY_ROW, purchase(NOON, 700.0, kind="cash", response_code="00", home_country="FR"))
    assert features["amount"] == features["sum_1m"] == 700.0
    assert features["cash_count_24h"] == features["is_cash"] == features["abroad"] == 1.0


numbers = st.floats(0, 1e30) | st.just(float("nan")) | st.floats(-20, 20)


@given(npst.arrays(np.float64, st.tuples(st.integers(1, 70), st.just(len(FEATURES))), elements=numbers))
def test_a_row_alone_is_scaled_as_in_a_batch_to_the_bit(matrix: np.ndarray) -> None:
    together = UNIT.unit(matrix)
    assert together.flags.c_contiguous
    assert together.shape == (len(matrix), len(MODEL_FEATURES))
    assert bool(((together >= 0) & (together <= 1)).all())
    alone = np.concatenate([UNIT.unit(row[None, :]) for row in matrix])
    assert alone.tobytes() == together.tobytes()


@pytest.mark.parametrize("feature", [feature for feature in FEATURES if feature.modelled], ids=lambda f: f.name)
def test_scaling_rises_and_what_is_missing_lies_where_documented(feature: object) -> None:
    assert isinstance(feature, tuple)
    index = [f.name for f in FEATURES].index(feature[0])
    column = MODEL_FEATURES.index(feature[0])
    scale = FEATURES[index].scale
    values = [scale.low, (scale.low + scale.high) / 2, scale.high, scale.high * 50, float("nan")]
    matrix = np.zeros((len(values), len(FEATURES)))
    matrix[:, index] = values
    unit = UNIT.unit(matrix)[:, column].tolist()
    assert unit[:3] == pytest.approx([0, 1 / 3, 1 / 2] if scale.saturating else [0, 1 / 2, 1])
    assert unit[3] == pytest.approx(50 / 51 if scale.saturating else 1)
    assert unit[4] == scale.missing


@pytest.mark.parametrize("trouble", [{"declines_1h": 3.9, "declines_24h": 4.0}, {"card_checks_1h": 3.8}])
def test_attempts_refused_and_cards_checked_are_unusual_by_themselves(trouble: dict[str, float]) -> None:
    """Card testing: small amounts in the middle of everything else, and all of them refused or for nothing."""
    rng = np.random.default_rng(5)
    ordinary = rng.gamma(2.0, 1.0, (4_000, len(CATALOGUE)))
    refused = rng.random(4_000) < 0.03
    for name in ("declines_1h", "declines_24h", "card_checks_1h"):
        ordinary[:, NUMBER_OF[name]] = refused
    plan = SurprisePlan(SURPRISE_FEATURES, tuple(NUMBER_OF[name] for name in SURPRISE_FEATURES), window=2_000)
    learning = plan.begin()
    learning.learn(plan.see(ordinary[:2_000]), np.arange(2_000.0))
    detector = learning.detector()
    tried = np.median(ordinary, axis=0)[None, :]
    calm = detector.score(detector.see(tried))[0]
    for name, value in trouble.items():
        tried[:, NUMBER_OF[name]] = value
    assert detector.score(detector.see(tried))[0] >= calm + 5.0
