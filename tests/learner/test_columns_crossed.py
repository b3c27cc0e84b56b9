"""What tells card testing apart lies in two columns at once, and the learner's classifier looks at both together."""

import numpy as np
import pytest

from models.classifier import Classifier
from pipeline.core.features import CATALOGUE
from pipeline.roles.learner.columns import COLUMNS

_NAMES = [feature.name for feature in CATALOGUE]
_AMOUNT = _NAMES.index("amount")
_FEW, _MANY, _SMALL, _LARGE = 0.0, 8.0, 100.0, 90_000.0


@pytest.mark.parametrize("sign", ["merchant_new_cards_1h_ratio", "card_checks_1h"])
def test_a_sign_of_tried_numbers_means_more_where_amounts_are_small(sign: str) -> None:
    dice = np.random.default_rng(7)
    place = _NAMES.index(sign)
    x = np.full((4_000, len(_NAMES)), np.nan)
    x[:, _AMOUNT] = dice.choice([_SMALL, _LARGE], len(x))
    x[:, place] = dice.choice([_FEW, _MANY], len(x))
    fraud = ((x[:, _AMOUNT] == _SMALL) & (x[:, place] == _MANY)).astype(np.float64)
    classifier = Classifier(COLUMNS)
    classifier.observe(x)
    classifier.learn(x, fraud)
    asked = np.full((4, len(_NAMES)), np.nan)
    asked[:, _AMOUNT] = _SMALL, _SMALL, _LARGE, _LARGE
    asked[:, place] = _MANY, _FEW, _MANY, _FEW
    many_small, few_small, many_large, few_large = classifier.log_odds(asked)
    assert (many_small - few_small) - (many_large - few_large) > 1.0  # 0 where each column speaks for itself alone
    assert many_small > max(few_small, many_large, few_large)
