"""From percentile to probability of fraud by a fixed curve, for as long as nothing has been learned from labels.

The curve is data (``config/models/prior.toml``). Straight lines between points, not log-odds: logarithms differ in
the last bit between processors, and a decision must be recomputable to the bit.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_POINTS = 100
BASE_RATE_TOLERANCE = 0.1
"""How far the curve's mean may lie from its base rate, as a share of it."""


class PriorRefused(ValueError):
    """``file:line: what is wrong``."""


@dataclass(frozen=True, slots=True, eq=False)
class PriorCurve:
    """``percentiles`` float64[k] rising from 0 to 100, ``probabilities`` float64[k] in 0…1, never falling;
    ``base_rate`` the share of fraud before anything is known."""

    base_rate: float
    percentiles: Floats
    probabilities: Floats

    def of(self, percentile: Floats) -> Floats:
        """Probability of fraud for each percentile (float64[n], 0…100): float64[n], never falling."""
        right = np.clip(self.percentiles.searchsorted(percentile, side="right"), 1, len(self.percentiles) - 1)
        x0, y0, y1 = self.percentiles[right - 1], self.probabilities[right - 1], self.probabilities[right]
        share = (percentile - x0) / (self.percentiles[right] - x0)
        return np.clip(y0 + (y1 - y0) * share, y0, y1)


def parse_prior(text: str, filename: str) -> PriorCurve:
    """The curve that ``text`` (TOML) describes. Raises `PriorRefused` naming ``filename`` and the line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise PriorRefused(f"{filename}:{line}: not TOML: {error}") from None
    where = _Lines(text, filename)
    for key in document:
        if key not in ("base_rate", "points"):
            raise where.key(key, f"unknown setting {key!r}; known: base_rate, points")
    base_rate = document.get("base_rate")
    if not _is_number(base_rate) or not 0 < base_rate < 1:
        raise where.key("base_rate", "base_rate must be a number between 0 and 1, the share of fraud")
    points = document.get("points")
    if not isinstance(points, list) or not 2 <= len(points) <= MAX_POINTS:
        raise where.key("points", f"points must be a list of 2 to {MAX_POINTS} of {{ percentile, probability }}")
    curve = _curve(float(base_rate), points, where)
    mean = float(np.trapezoid(curve.probabilities, curve.percentiles)) / 100
    if abs(mean - curve.base_rate) > BASE_RATE_TOLERANCE * curve.base_rate:
        raise where.key(
            "base_rate",
            f"the points' mean probability is {mean:.5f}, more than {BASE_RATE_TOLERANCE:.0%} away from "
            f"base_rate {curve.base_rate:g}: change the points or the rate",
        )
    return curve


def _curve(base_rate: float, points: Sequence[object], where: "_Lines") -> PriorCurve:
    pairs: list[tuple[float, float]] = []
    for number, point in enumerate(points):
        if not isinstance(point, dict) or set(point) != {"percentile", "probability"}:
            raise where.point(number, "a point has exactly percentile and probability")
        percentile, probability = point["percentile"], point["probability"]
        if not _is_number(percentile) or not 0 <= percentile <= 100:
            raise where.point(number, f"percentile must be a number from 0 to 100, not {percentile!r}")
        if not _is_number(probability) or not 0 <= probability <= 1:
            raise where.point(number, f"probability must be a number from 0 to 1, not {probability!r}")
        if pairs and percentile <= pairs[-1][0]:
            raise where.point(number, f"percentile {percentile:g} does not rise above the point before it")
        if pairs and probability < pairs[-1][1]:
            raise where.point(number, f"probability {probability:g} falls below the point before it")
        pairs.append((float(percentile), float(probability)))
    if pairs[0][0] != 0:
        raise where.point(0, "the first point must be at percentile 0")
    if pairs[-1][0] != 100:
        raise where.point(len(pairs) - 1, "the last point must be at percentile 100")
    percentiles, probabilities = np.array(pairs).T
    return PriorCurve(base_rate, percentiles.copy(), probabilities.copy())


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Lines:
    """Where in the text a setting or the n-th point stands; line 1 for one that is missing. (The TOML parser gives
    values without their places.)"""

    def __init__(self, text: str, filename: str) -> None:
        self._lines = [line.split("#", 1)[0] for line in text.splitlines()]
        self._filename = filename

    def key(self, key: str, problem: str) -> PriorRefused:
        pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
        return self._refusal((i for i, line in enumerate(self._lines, 1) if pattern.match(line)), problem)

    def point(self, number: int, problem: str) -> PriorRefused:
        starts = [i for i, line in enumerate(self._lines, 1) for _ in range(line.count("{"))]
        return self._refusal(iter(starts[number : number + 1]), problem)

    def _refusal(self, lines: Iterator[int], problem: str) -> PriorRefused:
        return PriorRefused(f"{self._filename}:{next(lines, 1)}: {problem}")
