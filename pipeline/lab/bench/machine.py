"""What a benchmark ran on: figures without it say nothing."""

import importlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from pipeline import __version__

PACKAGES = ("aiokafka", "confluent-kafka", "faust-streaming", "msgspec", "numpy", "redis", "river", "uvloop")
_GIB = 2**30


class Machine(msgspec.Struct, frozen=True):
    """``compiled``: whether the compiled form of advancing a card's row is in use. ``kafka`` is "unknown" where nobody
    said: a broker does not tell its version."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    cardwatch: str
    compiled: bool
    kafka: str
    redis: str
    policy: str
    rules: int
    packages: dict[str, str]


def look(kafka: str, redis: str, policy: str, rules: int) -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cardwatch=__version__,
        compiled=compiled(),
        kafka=kafka,
        redis=redis,
        policy=policy,
        rules=rules,
        packages={name: _version(name) for name in PACKAGES},
    )


def compiled() -> bool:
    """Whether card rows are advanced by compiled code: that module says so where there is one."""
    try:
        advancing = importlib.import_module("pipeline.core.advancing")
    except ImportError:
        return False
    return bool(getattr(advancing, "COMPILED", False))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
