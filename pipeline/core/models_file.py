"""`config/models.toml`: the bands inside which a new version of the model goes live by itself, the champion, and the
challengers that learn and score beside it."""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from models.bands import Bands
from models.snapshot import CHAMPION
from pipeline.core.toml_text import FileError, TomlText

MAX_CHALLENGERS = 4
"""More would cost every poll more than the champion itself does."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LEAST = {"alert_factor": 1.0}


class ModelsError(FileError):
    """``file:line: what is wrong, what to do``."""


class ModelSetting(NamedTuple):
    """One of the bank's models. ``kind`` of its classifier; ``share`` of the transactions it scores; ``settings`` of its
    kind, by name."""

    name: str
    kind: str
    share: float
    settings: Mapping[str, float]


class ModelsPlan(NamedTuple):
    """What the file says."""

    bands: Bands
    champion: ModelSetting
    challengers: tuple[ModelSetting, ...]


Kinds = Mapping[str, Mapping[str, tuple[float, float]]]
"""The kinds of classifier: of each, its settings with the least and the most they may be. The first is the champion's."""


def parse_models(text: str, filename: str, kinds: Kinds) -> ModelsPlan:
    """Raises `ModelsError`."""
    toml = TomlText(text, filename, ModelsError)
    known = ("bands", "champion", "challenger")
    for name in toml.data:
        if name not in known:
            toml.fail(f"unknown table {name!r}; known: {', '.join(known)}", max(toml.header(name), toml.key(name)))
    champion = toml.data.get("champion", {})
    if not isinstance(champion, dict):
        toml.fail("[champion] is a table", toml.key("champion"))
    challengers = toml.data.get("challenger", [])
    if not isinstance(challengers, list) or not all(isinstance(one, dict) for one in challengers):
        toml.fail("challengers are written [[challenger]]", max(toml.header("challenger"), toml.key("challenger")))
    if len(challengers) > MAX_CHALLENGERS:
        line = toml.table("challenger", MAX_CHALLENGERS)
        toml.fail(f"{len(challengers)} challengers: {MAX_CHALLENGERS} are the most, each costs every poll", line)
    first = _model(toml, {"name": CHAMPION, **champion}, toml.header("champion"), kinds)
    others: list[ModelSetting] = []
    for number, table in enumerate(challengers):
        line = toml.table("challenger", number)
        made = _model(toml, table, line, kinds)
        if made.name in {first.name, *(one.name for one in others)}:
            toml.fail(f"two models are called {made.name!r}", toml.key("name", line))
        others.append(made)
    if first.share != 1.0:
        toml.fail(
            "the champion scores every transaction: leave its share out", toml.key("share", toml.header("champion"))
        )
    return ModelsPlan(_bands(toml), first, tuple(others))


def _model(toml: TomlText, table: Mapping[str, Any], line: int, kinds: Kinds) -> ModelSetting:
    name, kind = table.get("name"), table.get("classifier", next(iter(kinds)))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        toml.fail("a model has a name of small letters, digits and _, at most 32", toml.key("name", line))
    if kind not in kinds:
        toml.fail(f"unknown kind of classifier {kind!r}; known: {', '.join(kinds)}", toml.key("classifier", line))
    share = table.get("share", 1.0)
    if not _number(share) or not 0 < share <= 1:
        toml.fail(f"share is a number above 0, up to 1, not {share!r}", toml.key("share", line))
    settings: dict[str, float] = {}
    for key, value in table.items():
        if key in ("name", "classifier", "share"):
            continue
        if key not in kinds[kind]:
            known = ", ".join(("name", "classifier", "share", *kinds[kind]))
            toml.fail(f"unknown setting {key!r} of a {kind}; known: {known}", toml.key(key, line))
        least, most = kinds[kind][key]
        if not _number(value) or not least <= value <= most:
            toml.fail(f"{key} is a number from {least:g} to {most:g}, not {value!r}", toml.key(key, line))
        settings[key] = float(value)
    return ModelSetting(name, kind, float(share), settings)


def _bands(toml: TomlText) -> Bands:
    table = toml.data.get("bands", {})
    header = toml.header("bands")
    if not isinstance(table, dict):
        toml.fail("[bands] is a table of numbers", toml.key("bands"))
    known = [field.name for field in fields(Bands)]
    for name, value in table.items():
        line = toml.key(name, header)
        if name not in known:
            toml.fail(f"unknown band {name!r}; known: {', '.join(known)}", line)
        least = _LEAST.get(name, 0.0)
        if not _number(value) or value < least:
            toml.fail(f"{name} is a number of {least:g} or more, not {value!r}", line)
    bands = Bands(**{name: float(value) for name, value in table.items()})
    if bands.slope_low > bands.slope_high:
        toml.fail("slope_low is more than slope_high: no version could lie inside", toml.key("slope_low", header))
    return bands


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
