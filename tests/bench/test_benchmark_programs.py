"""The programs under ``benchmarks/`` are run by hand only: at least they can be read, with all that they import."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_finds_what_it_imports(program: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(program.parent)!r}); import {program.stem}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
