"""The product's texts are read and checked once for all tests here: a fifth of a second each time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.texts import Texts
from pipeline.roles.contact.profile import read_texts


@pytest.fixture(scope="session", autouse=True)
def _texts_read_once() -> Iterator[None]:
    known: dict[Path, Texts] = {}

    def read(config_dir: Path) -> Texts:
        directory = (config_dir / "messages").resolve()
        if directory not in known:
            known[directory] = read_texts(config_dir)
        return known[directory]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.roles.contact.role.read_texts", read)
        yield
