"""How well scores order transactions: ROC curve area, average precision, the curve behind it. Ties are one step: equal
scores cannot be told apart, in whatever order they lie."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Curve(NamedTuple):
    """Float64[k] each, by falling threshold: alerting on scores from ``threshold`` up finds ``recall`` of the frauds,
    and ``precision`` of the alerts are fraud."""

    threshold: Floats
    precision: Floats
    recall: Floats


def _steps(fraud: Flags, score: Floats) -> tuple[Floats, Floats, Floats]:
    """At each distinct score from the highest down: the score, frauds and genuine ones at or above it."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], fraud[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.empty(0, np.intp)
    frauds = np.cumsum(hits)[ends].astype(np.float64)
    return ranked[ends], frauds, (ends + 1) - frauds


def roc_auc(fraud: Flags, score: Floats) -> float:
    """The chance that a fraud has a higher score than a genuine transaction, a tie counting one half (Mann and
    Whitney). ``fraud`` bool[n], ``score`` float64[n]; NaN when one of the two kinds is missing."""
    _, frauds, genuine = _steps(fraud, score)
    if not len(frauds) or frauds[-1] == 0 or genuine[-1] == 0:
        return float("nan")
    up, right = np.diff(frauds, prepend=0.0), np.diff(genuine, prepend=0.0)
    area = ((frauds - up / 2.0) * right).sum()
    return float(area / (frauds[-1] * genuine[-1]))


def curve(fraud: Flags, score: Floats) -> Curve:
    """Precision and recall at every distinct score. ``fraud`` bool[n], ``score`` float64[n]; empty without a fraud."""
    threshold, frauds, genuine = _steps(fraud, score)
    if not len(frauds) or frauds[-1] == 0:
        return Curve(*(np.empty(0) for _ in range(3)))
    return Curve(threshold, frauds / (frauds + genuine), frauds / frauds[-1])


def average_precision(fraud: Flags, score: Floats) -> float:
    """The sum over distinct thresholds of precision × the recall gained: steps, no straight lines between points, which
    would be too good (Davis and Goadrich, ICML 2006). NaN without a fraud."""
    found = curve(fraud, score)
    return float((found.precision * np.diff(found.recall, prepend=0.0)).sum()) if len(found.recall) else float("nan")
