"""Whether a score of 0.3 means three in ten: calibration error, Brier score, and the line through the log-odds."""

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS = 15
DRAWS = 100
SEED = 20_080_301
"""How often, and from where on, truth is drawn from scores: the same figures every time."""
LEAST_SCORE = 0.05
"""Below this nobody acts, and nearly all transactions lie there: calibration is told of those above besides."""
CLIP = 1e-6
"""Scores are held this far from 0 and 1 before log-odds are taken."""
STEPS = 50
RIDGE = 1e-9
ENOUGH = 1e-9
"""Steps of the fit: at most so many, until one is so small; the ridge keeps scores that are all the same solvable."""


class Bin(msgspec.Struct, frozen=True):
    """``n`` transactions of neighbouring scores: their ``mean`` score, and the ``share`` of them that was fraud."""

    n: int
    mean: float
    share: float


def bins(fraud: Flags, score: Floats, number: int = BINS) -> list[Bin]:
    """Equal-mass bins, by rising score. Transactions of equal score stay together, in the bin of their middle rank, so
    bins may be fewer than ``number`` and of unequal size."""
    if not len(score):
        return []
    place = _bin_of(score, number)
    n = np.bincount(place, minlength=number)
    scores, frauds = (np.bincount(place, weights=column, minlength=number) for column in (score, fraud))
    return [Bin(int(n[i]), float(scores[i] / n[i]), float(frauds[i] / n[i])) for i in np.flatnonzero(n)]


def expected_error(found: list[Bin]) -> float:
    """ECE: the mean distance of mean score and share, weighted by size; NaN without a bin."""
    total = sum(each.n for each in found)
    return sum(each.n * abs(each.mean - each.share) for each in found) / total if total else float("nan")


def sampling_floor(score: Floats) -> float:
    """The `expected_error` that these scores would show if each told the truth: its mean over `DRAWS` truths drawn from
    them. In few transactions a share misses its mean by chance, so no calibration comes below this but by chance. NaN
    without a score. (Bröcker and Smith, "Increasing the reliability of reliability diagrams", 2007.)"""
    if not len(score):
        return float("nan")
    place, dice = _bin_of(score, BINS), np.random.default_rng(SEED)
    missed = 0.0
    for _ in range(DRAWS):
        off = np.bincount(place, weights=score - (dice.random(len(score)) < score), minlength=BINS)
        missed += float(np.abs(off).sum())
    return missed / (DRAWS * len(score))


def _bin_of(score: Floats, number: int) -> NDArray[np.int64]:
    """Which of the `bins` each belongs to, int64[n]."""
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(size) - size / 2.0
    place: NDArray[np.int64] = (middle * number / len(score)).astype(np.int64)[group]
    return place


def brier(fraud: Flags, score: Floats) -> float:
    """Mean squared distance of score and truth; NaN for none."""
    return float(np.square(score - fraud).mean()) if len(score) else float("nan")


def brier_skill(fraud: Flags, score: Floats, rate: float) -> float:
    """How much of the Brier score of always saying ``rate`` is saved: 1 all, 0 none, negative: worse than that."""
    reference = brier(fraud, np.full(len(score), rate))
    return 1.0 - brier(fraud, score) / reference if reference > 0.0 else float("nan")


def log_odds_line(fraud: Flags, score: Floats) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of truth on the score's log-odds (Cox, 1958): 1 and 0 are right;
    a slope below 1: scores are too extreme. Newton's method, steps halved
    until they help; NaN where one kind is missing or the two are perfectly apart."""
    nothing = (float("nan"), float("nan"))
    if fraud.all() or not fraud.any():
        return nothing
    held = np.clip(score, CLIP, 1.0 - CLIP)
    x = np.column_stack([np.log(held / (1.0 - held)), np.ones(len(held))])
    rate = float(fraud.mean())
    weights = np.array([0.0, np.log(rate / (1.0 - rate))])
    loss = _loss(x @ weights, fraud)
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-(x @ weights)))
        step = np.linalg.solve((x * (p * (1.0 - p))[:, None]).T @ x + RIDGE * np.eye(2), x.T @ (fraud - p))
        after = _loss(x @ (weights + step), fraud)
        while after > loss and np.abs(step).max() > ENOUGH:
            step = step / 2.0
            after = _loss(x @ (weights + step), fraud)
        weights, loss = weights + step, after
        if np.abs(step).max() <= ENOUGH:
            return float(weights[0]), float(weights[1])
    return nothing


def _loss(log_odds: Floats, fraud: Flags) -> float:
    """Negative log-likelihood."""
    return float((np.logaddexp(0.0, log_odds) - fraud * log_odds).sum())
