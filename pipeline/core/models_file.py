"""`config/models.toml`: the bands inside which a new version of the model goes live by itself."""

import math
from dataclasses import fields
from typing import NamedTuple

from models.bands import Bands
from pipeline.core.toml_text import FileError, TomlText


class ModelsError(FileError):
    """``file:line: what is wrong, what to do``."""


class ModelsPlan(NamedTuple):
    """What the file says."""

    bands: Bands


_LEAST = {"alert_factor": 1.0, "slope_high": 0.0}


def parse_models(text: str, filename: str) -> ModelsPlan:
    """Raises `ModelsError`."""
    toml = TomlText(text, filename, ModelsError)
    for name in toml.data:
        if name != "bands":
            toml.fail(f"unknown table {name!r}; known: bands", max(toml.header(name), toml.key(name)))
    return ModelsPlan(_bands(toml))


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
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < least:
            toml.fail(f"{name} is a number of {least:g} or more, not {value!r}", line)
    bands = Bands(**{name: float(value) for name, value in table.items()})
    if bands.slope_low > bands.slope_high:
        toml.fail("slope_low is more than slope_high: no version could lie inside", toml.key("slope_low", header))
    return bands
