"""The manuals' pictures of conversations are drawn from the tables they run by."""

from pathlib import Path

import pytest

from pipeline.core.telling_table import TELLING
from pipeline.core.verification_diagram import mermaid

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("picture", [mermaid(), mermaid(TELLING)], ids=["verification", "telling"])
def test_the_picture_is_the_table(language: str, picture: str) -> None:
    text = (DOCS / language / "contact.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{picture}\n```" in text, picture
