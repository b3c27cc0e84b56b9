"""``.env.example`` and the reference name every setting there is, and none that is not."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
ASSIGNMENT = re.compile(rf"^(#?)({PREFIX}[A-Z0-9_]+)=(.*)$", re.MULTILINE)


def classes() -> Iterator[type[Settings]]:
    """Settings and all classes that extend it, wherever in the package a module called settings defines them."""
    for file in (ROOT / "pipeline").rglob("settings.py"):
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    waiting: list[type[Settings]] = [Settings]
    while waiting:
        found = waiting.pop()
        waiting.extend(found.__subclasses__())
        if found.__module__.startswith("pipeline."):
            yield found


def names() -> set[str]:
    return {PREFIX + field.upper() for found in classes() for field in found.model_fields}


def secrets() -> set[str]:
    return {
        PREFIX + name.upper()
        for found in classes()
        for name, field in found.model_fields.items()
        if "SecretStr" in str(field.annotation) or field.annotation is SecretStr
    }


def test_the_example_names_every_setting_once_and_no_other() -> None:
    named = [match[1] for match in ASSIGNMENT.findall(EXAMPLE)]
    assert len(named) == len(set(named))
    assert set(named) == names() | {f"{secret}_FILE" for secret in secrets()}


def test_the_example_gives_no_secret_away() -> None:
    given = {name: (mark, value) for mark, name, value in ASSIGNMENT.findall(EXAMPLE)}
    for secret in secrets():
        assert given[secret] == ("#", "")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_reference_names_every_setting_and_no_other(language: str) -> None:
    text = (ROOT / f"docs/{language}/reference/settings.md").read_text()
    assert set(re.findall(rf"^\| `({PREFIX}[A-Z0-9_]+)` \|", text, re.MULTILINE)) == names()


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml"])
def test_containers_set_only_what_exists(file: str) -> None:
    used = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", (ROOT / file).read_text()))
    assert used <= names() | {f"{secret}_FILE" for secret in secrets()}
