"""`make install` says so when any of the compiled modules is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "pipeline").rglob("_*.pyx"))]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """As much of a checkout as is asked: a source of each compiled module, and beside it what was made of it."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    for module in MODULES:
        place = tmp_path / module
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".pyx").touch()
        place.with_suffix(".py").touch()
        for package in list(module.parents)[:-1]:
            (tmp_path / package / "__init__.py").touch()
    return tmp_path


def said(copy: Path) -> str:
    command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "compiled"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_is_said_when_all_are_there(copy: Path) -> None:
    assert len(MODULES) >= 4
    assert said(copy) == ""


@pytest.mark.parametrize("missing", MODULES, ids=str)
def test_one_that_is_missing_is_told(copy: Path, missing: Path) -> None:
    (copy / missing).with_suffix(".py").unlink()
    assert "pure Python" in said(copy)
