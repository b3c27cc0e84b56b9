"""The environment Quix Streams runs in: of its own, for its requirements are none of ours, made when first asked for."""

import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.lab.bench.failed import BenchFailed

REQUIREMENTS = ("quixstreams", "river")
INSTALL_S = 600.0


def quix_python(cache: Path) -> Path:
    """The interpreter that has Quix Streams and River. Raises BenchFailed when it can't be made."""
    place = cache / f"quix-py{sys.version_info.major}{sys.version_info.minor}"
    python = place / "bin" / "python"
    stamp = place / "complete"  # written last: an installation that broke off is made again
    if stamp.exists() and python.exists():
        return python
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise BenchFailed(
            "Quix Streams is installed with uv, which is not here: install uv, or leave it out (--without quix)"
        )
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
    _run([uv, "pip", "install", "--quiet", "--python", str(python), *REQUIREMENTS])
    stamp.touch()
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)  # noqa: S603  # our own words, no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchFailed(f"Quix Streams could not be installed ({error}); --without quix leaves it out") from None
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BenchFailed(f"Quix Streams could not be installed: {words}; --without quix leaves it out")
