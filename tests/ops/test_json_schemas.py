"""The JSON Schemas in the documentation are those of the code's own types (`make schemas` writes them anew)."""

from pathlib import Path

import pytest

from pipeline.core.schemas import TYPES, as_text
from pipeline.core.topics import Topic

DIRECTORY = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("topic", TYPES, ids=lambda topic: topic.name)
def test_the_documented_schema_is_the_code_s_own(topic: Topic) -> None:
    assert (DIRECTORY / f"{topic.name}.json").read_text(encoding="utf-8") == as_text(topic)


def test_no_schema_is_left_of_a_type_that_is_gone() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.json")} == {topic.name for topic in TYPES}
