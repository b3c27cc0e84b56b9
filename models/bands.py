"""Whether a new version of a model may go live by itself: how it scores recent rows beside the version in force.

Both score the same rows, so what is measured is the change of the model, not of the traffic. A model that has learned of
few labels changes with each of them, as it should: the change is asked of grown ones only, and what no model may do, of
all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.drift import stability

Floats = NDArray[np.float64]

HALF = 0.5
LEAST_ROWS = 500
"""Fewer recent rows say nothing of shares of one in a hundred."""
LEAST_JUDGED = 500
LEAST_FRAUDS_JUDGED = 50
"""Of fewer labelled rows, or frauds among them, no calibration is told."""
ECE_FROM = 0.05
"""Calibration is looked at where the score is at least so much: of the rest, there is nearly nothing but zeros."""
_BINS = 10
_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """``alert_factor``, ``alert_least``: at no threshold may the share of rows that reach it become more than so many times
    as large or small, differences below ``alert_least`` aside. ``half_share``: most rows with a score of .5 or more.
    ``drift``: most population stability index between both versions' scores. ``labelled_rows``: from so many on, learned
    by both versions, these changes are asked of. ``ece``: most equal-mass calibration error among scores of .05 and more;
    ``slope_low``, ``slope_high``: of the log odds, 1 is right."""

    alert_factor: float = 2.0
    alert_least: float = 0.01
    half_share: float = 0.10
    drift: float = 0.25
    labelled_rows: float = 20_000.0
    ece: float = 0.15
    slope_low: float = 0.5
    slope_high: float = 2.0


class Outside(NamedTuple):
    """A band that was left: its name, what was measured, the limit."""

    band: str
    value: float
    limit: float


class Reliability(NamedTuple):
    """Of labelled rows as they were scored before they were learned: equal-mass error and slope of the log odds; None: too
    few to tell."""

    ece: float | None
    slope: float | None


class Measured(NamedTuple):
    """What was measured by name, and what lies outside. Unless ``compared``, nothing was asked of the change."""

    figures: Mapping[str, float]
    outside: Sequence[Outside]


def judge(
    bands: Bands,
    thresholds: Sequence[float],
    scores: Floats,
    before: Floats | None,
    grown: bool,
    reliability: Reliability,
) -> Measured:
    """``scores`` float64[n] of the new version and ``before`` of the one in force (None: there is none) on the same rows;
    ``thresholds`` at which the policy acts; ``grown``: both have learned of enough labels."""
    figures: dict[str, float] = {"rows": float(len(scores))}
    outside: list[Outside] = []

    def most(band: str, value: float, limit: float) -> None:
        figures[band] = value
        if not value <= limit:
            outside.append(Outside(band, value, limit))

    if len(scores) >= LEAST_ROWS:
        most("half_share", float((scores >= HALF).mean()), bands.half_share)
        if before is not None and grown:
            most("drift", stability(scores, before), bands.drift)
            most("alert_factor", _worst_factor(thresholds, scores, before, bands.alert_least), bands.alert_factor)
    if reliability.ece is not None:
        most("ece", reliability.ece, bands.ece)
    if reliability.slope is not None:
        most("slope_high", reliability.slope, bands.slope_high)
        if not reliability.slope >= bands.slope_low:
            outside.append(Outside("slope_low", reliability.slope, bands.slope_low))
    return Measured(figures, outside)


def _worst_factor(thresholds: Sequence[float], scores: Floats, before: Floats, least: float) -> float:
    """By how much the share of rows at or above a threshold changed, at the one where it changed most: at least 1."""
    worst = 1.0
    for threshold in thresholds:
        now, then = float((scores >= threshold).mean()), float((before >= threshold).mean())
        if abs(now - then) > least:
            few = max(min(now, then), 1.0 / len(scores))
            worst = max(worst, max(now, then) / few)
    return worst


def reliability(said: Floats, fraud: Floats, weights: Floats) -> Reliability:
    """``said`` float64[n], probabilities told before the truth; ``fraud`` float64[n], 1 or 0; ``weights`` float64[n]."""
    chosen = said >= ECE_FROM
    p, y, w = said[chosen], fraud[chosen], weights[chosen]
    if len(p) < LEAST_JUDGED or y.sum() < LEAST_FRAUDS_JUDGED:
        return Reliability(None, None)
    order = np.argsort(p, kind="stable")
    error = 0.0
    for part in np.array_split(order, _BINS):
        error += abs(float((w[part] * (p[part] - y[part])).sum()))
    return Reliability(error / float(w.sum()), _slope(p, y, w))


def _slope(p: Floats, y: Floats, w: Floats) -> float | None:
    """b of the logistic regression of the truth on a + b z, z the log odds told (Cox, "Two further applications of a model
    for binary regression", 1958), by Newton's method; None where it does not settle."""
    held = np.clip(p, 1e-6, 1 - 1e-6)
    z = np.log(held / (1 - held))
    a, b = 0.0, 1.0
    for _ in range(_STEPS):
        q = 1 / (1 + np.exp(-np.clip(a + b * z, -30, 30)))
        v = w * q * (1 - q)
        gradient = np.array([(w * (y - q)).sum(), (w * (y - q) * z).sum()])
        hessian = np.array([[v.sum(), (v * z).sum()], [(v * z).sum(), (v * z * z).sum()]])
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return None
        a, b = a + float(step[0]), b + float(step[1])
        if not math.isfinite(a + b) or abs(b) > 100:
            return None
        if float(np.abs(step).max()) < 1e-6:
            return b
    return None
