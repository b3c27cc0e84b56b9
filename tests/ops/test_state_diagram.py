"""The manuals' picture of the verification conversation is drawn from the table it runs by."""

from pathlib import Path

import pytest

from pipeline.core.verification_diagram import mermaid

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_picture_is_the_table(language: str) -> None:
    text = (DOCS / language / "contact.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{mermaid()}\n```" in text
