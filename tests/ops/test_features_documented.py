"""The reference of features is the catalogue: every feature in its order, with its unit, in both languages."""

import re
from pathlib import Path

import pytest

from pipeline.core.features import CATALOGUE

REFERENCE = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("language", "meaning"), [("en", "en"), ("zh-CN", "zh")])
def test_every_feature_is_in_the_reference(language: str, meaning: str) -> None:
    text = (REFERENCE / language / "reference" / "features.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| (?:yes|no|是|否) \|$", text, re.MULTILINE)
    assert [(name, words) for name, _, words in rows] == [
        (feature.name, getattr(feature, meaning)) for feature in CATALOGUE
    ]
