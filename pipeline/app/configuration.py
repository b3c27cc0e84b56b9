"""What all roles' wiring shares: configuration files, secrets, metrics registries and ports."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from pipeline.adapters.files import WatchedFile, WatchedFolder
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import Money, parse_rates
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.lists import Lists, parse_list
from pipeline.core.models_file import ModelsPlan, parse_models
from pipeline.core.policy import Policy, PolicyError, parse_policy
from pipeline.core.words import Words, parse_words
from pipeline.roles.learner.course import FeatureSpace
from pipeline.roles.learner.kinds import KINDS
from pipeline.roles.scorer.settings import ScorerSettings
from pipeline.settings import Settings

LANGUAGES = ("en", "zh-CN")
PORTS = {"gateway": 9110, "scorer": 9120, "learner": 9130, "contact": 9140, "reminder": 9150, "archive": 9160, "desk": 9170, "crm": 9180}  # fmt: skip
LISTS = "lists"
"""The folder below CONFIG_DIR."""
MODELS, TAGS = "models.toml", "tags.toml"
"""Files below CONFIG_DIR."""
FEATURE_SPACE = FeatureSpace(len(CATALOGUE), LAYOUT)


class WrongInstallation(Exception):
    """What is configured does not fit what is stored: a sentence for the operator."""


def read(settings: Settings, path: Path | str) -> tuple[str, str]:
    """Text and name of a file below CONFIG_DIR (or anywhere, when absolute)."""
    found = settings.config_dir / path
    return found.read_text(encoding="utf-8"), str(found)


def load_words(settings: Settings) -> Mapping[str, Words]:
    """Language → words for reason codes."""
    return {
        language: parse_words(*read(settings, f"messages/{language}/reasons.toml"), SCHEMA) for language in LANGUAGES
    }


def policy_parser(settings: Settings) -> Callable[[str, str], Policy]:
    """Reads a policy text and checks that each of its reasons can be told in every language."""
    words = load_words(settings)
    known = set.intersection(*(set(some.sentences) for some in words.values()))

    def parse(text: str, filename: str) -> Policy:
        return parse_policy(text, filename, SCHEMA, known)

    return parse


def policy_thresholds(settings: Settings) -> Callable[[], Sequence[float]]:
    """The scores from which the policy in use acts, read anew when its file changes; a text that is refused changes
    nothing. Raises PolicyError and OSError as it is called first, here."""
    file = WatchedFile(settings.config_dir / ScorerSettings().scorer_policy)
    parse = policy_parser(settings)
    known = [_thresholds(parse(*file.read()))]

    def now() -> Sequence[float]:
        if file.changed():
            with contextlib.suppress(PolicyError, OSError, UnicodeError):  # the scorers tell of it
                known[0] = _thresholds(parse(*file.read()))
        return known[0]

    return now


def _thresholds(policy: Policy) -> Sequence[float]:
    return sorted({threshold.score for threshold in policy.thresholds})


def read_models(settings: Settings) -> ModelsPlan:
    """Raises ModelsError, OSError."""
    return parse_models(*read(settings, MODELS), KINDS)


class ListFolder:
    """The bank's lists as files below CONFIG_DIR, looked at again for changes."""

    def __init__(self, settings: Settings) -> None:
        self._folder = WatchedFolder(settings.config_dir / LISTS, ".toml")

    def changed(self) -> bool:
        return self._folder.changed()

    def read(self) -> Lists:
        """Raises ListError, OSError or UnicodeError."""
        return Lists([parse_list(name, text, path) for name, text, path in self._folder.read()])


def load_money(settings: Settings) -> Money:
    return parse_rates(*read(settings, "rates.toml"))


def secret(value: object) -> bytes | None:
    """The bytes of a SecretStr setting, None when it is not set."""
    return value.get_secret_value().encode() if hasattr(value, "get_secret_value") else None


def new_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def ops_port(settings: Settings, role: str, worker: int) -> int:
    return (settings.metrics_port or PORTS[role]) + worker


async def done_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether ``work`` ended before ``stop`` came; if not it is given up: a role that waits for a server can be told to
    end. Raises what ``work`` raises."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        working.result()
        return True
    working.cancel()
    await asyncio.wait({working})
    return False


async def until(stop: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait for ``stop``. A task that ends before it has failed: its error is raised, for a role that half works is
    worse than one that ends and is started again."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if stopped not in done:
        stopped.cancel()
        for task in done:
            task.result()
