"""Columns for rules: the right kinds, missing where nothing was said, and none that nobody asked for."""

import numpy as np
import pytest
from card_events import NOON, event, purchase

from pipeline.core.columns import SCHEMA, columns
from pipeline.core.features import CATALOGUE

EVENTS = [
    purchase(NOON, 5.0, country="FR", recurring=True, available_credit=900, wallet="pay", response_code="05"),
    event(NOON, 7.0, recurring=False),
    event(NOON, 9.0),
]
MATRIX = np.arange(3.0 * len(CATALOGUE)).reshape(3, -1)
SCORE, PERCENTILE = np.array([0.1, 0.2, 0.3]), np.array([10.0, 20.0, 30.0])


def built(*names: str) -> dict[str, list[object]]:
    table = columns(EVENTS, MATRIX, SCORE, PERCENTILE, frozenset(names))
    return {name: array.tolist() for name, array in table.items()}


def test_only_what_is_wanted_is_built() -> None:
    assert set(built("amount", "country", "score")) == {"amount", "country", "score"}
    assert built() == {}
    with pytest.raises(KeyError):
        built("shoe_size")


def test_kinds_and_missing_values() -> None:
    table = built("country", "type", "wallet", "recurring", "available_credit", "amount", "score", "percentile")
    assert table["country"] == ["FR", None, None]
    assert table["type"] == ["authorisation"] * 3
    assert table["wallet"] == ["pay", None, None]
    assert table["recurring"][:2] == [1.0, 0.0]
    assert table["available_credit"][0] == 900.0
    assert np.isnan([table["recurring"][2], table["available_credit"][2]]).all()
    assert table["amount"] == MATRIX[:, 0].tolist()
    assert table["score"] == [0.1, 0.2, 0.3]
    assert table["percentile"] == [10.0, 20.0, 30.0]


def test_every_column_of_the_schema_can_be_built_in_its_kind() -> None:
    table = columns(EVENTS, MATRIX, SCORE, PERCENTILE, frozenset(SCHEMA))
    for name, kind in SCHEMA.items():
        assert table[name].dtype == (np.object_ if kind == "text" else np.float64), name
        assert table[name].shape == (3,)
    assert len(SCHEMA) == len(CATALOGUE) + 18 + 3 + 2
