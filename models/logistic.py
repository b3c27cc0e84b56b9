"""Logistic regression on bins and on crosses of two: River's, with the rows never made into dictionaries.

The truth is ``river.linear_model.LogisticRegression(optim.AdaGrad(lr, eps), intercept_init=…, intercept_lr=0)`` (0.26)
over the dictionary that `Terms.as_dict` shows: a bias of 1, each column's one or two bins with their shares, and for
each pair of crossed columns the products of their shares, times `CROSS_SCALE`. AdaGrad's step is the same for a value
of any scale, so a cross that is worth a third learns at a third of the rate: there are a hundred times as many of them
as bins, each with little of the evidence, and at the bins' rate they learn noise. A pair with a missing side says nothing.

Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12, 2011.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.binning import encode_in_python
from models.logistic_constants import CROSS_SCALE, EPSILON, INTERCEPT, RATE

Floats = NDArray[np.float64]
Slots = NDArray[np.uint8]
Ints = NDArray[np.int32]

MAX_WEIGHTS: Final = 48_000
"""With the sums of squares 768 kB: a snapshot of both stays below 1 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Where each weight stands: 0 the bias, then the slots of each main encoding, then the cells of each cross.

    ``mains`` int32[m] encodings, ``main_at`` int32[m]; ``left``, ``right`` int32[p] the encodings of each pair,
    ``cross_at`` int32[p] its first cell, ``stride`` int32[p] cells to the next slot of the left one; ``count`` weights.
    ``silent`` uint8[m]: that a main encoding has no value says nothing, and its weight of that stays 0.
    """

    mains: Ints
    main_at: Ints
    left: Ints
    right: Ints
    cross_at: Ints
    stride: Ints
    count: int
    silent: Slots

    @classmethod
    def of(
        cls, sizes: Sequence[int], mains: Sequence[int], crossed: Sequence[int], silent: Collection[int] = ()
    ) -> "Terms":
        """``sizes`` slots of each encoding; ``silent`` encodings. Raises ValueError for more than `MAX_WEIGHTS`."""
        at, main_at = 1, []
        for encoding in mains:
            main_at.append(at)
            at += sizes[encoding]
        pairs, cross_at = list(combinations(crossed, 2)), []
        for left, right in pairs:
            cross_at.append(at)
            at += (sizes[left] - 1) * (sizes[right] - 1)
        if at > MAX_WEIGHTS:
            raise ValueError(f"{at} weights for {len(mains)} columns and {len(pairs)} crosses: at most {MAX_WEIGHTS}")
        return cls(
            _ints(mains),
            _ints(main_at),
            _ints([left for left, _ in pairs]),
            _ints([right for _, right in pairs]),
            _ints(cross_at),
            _ints([sizes[right] - 1 for _, right in pairs]),
            at,
            np.array([encoding in silent for encoding in mains], dtype=np.uint8),
        )

    def as_dict(self, slots: Slots, shares: Floats) -> dict[int, float]:
        """What River sees of one row (uint8[E], float64[E]): weight → value."""
        slot, share = slots.tolist(), shares.tolist()
        values = {0: 1.0}
        for encoding, at, silent in zip(self.mains.tolist(), self.main_at.tolist(), self.silent.tolist(), strict=True):
            if silent and not slot[encoding]:
                continue
            u = share[encoding]
            values[at + slot[encoding]] = 1.0 - u
            if u > 0.0:
                values[at + slot[encoding] + 1] = u
        for left, right, at, stride in zip(
            *(x.tolist() for x in (self.left, self.right, self.cross_at, self.stride)), strict=True
        ):
            if not slot[left] or not slot[right]:
                continue
            u, v = share[left], share[right]
            cell = at + (slot[left] - 1) * stride + slot[right] - 1
            values[cell] = (1.0 - u) * (1.0 - v) * CROSS_SCALE
            if v > 0.0:
                values[cell + 1] = (1.0 - u) * v * CROSS_SCALE
            if u > 0.0:
                values[cell + stride] = u * (1.0 - v) * CROSS_SCALE
                if v > 0.0:
                    values[cell + stride + 1] = u * v * CROSS_SCALE
        return values


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int32)


@dataclass(slots=True, eq=False)
class Logistic:
    """``weights`` and ``squares`` (sums of squared gradients) float64[count], both changed by learning, never replaced:
    ``reading`` is how the compiled form reads them. ``average`` float32[count]: with what learning says of a row is by
    the mean of it and the weights (`models.average`)."""

    terms: Terms
    weights: Floats
    squares: Floats
    average: NDArray[np.float32] | None = None
    reading: object = None

    @classmethod
    def new(cls, terms: Terms, average: NDArray[np.float32] | None = None) -> "Logistic":
        return cls(terms, np.zeros(terms.count), np.zeros(terms.count), average)

    def take(self, state: Mapping[str, NDArray[np.generic]], prefix: str) -> None:
        """Weights and squares from ``state``, called so behind ``prefix``. Raises ValueError, KeyError."""
        for array, name in ((self.weights, f"{prefix}weights"), (self.squares, f"{prefix}squares")):
            found = np.asarray(state[name], dtype=np.float64)
            if found.shape != array.shape or not np.isfinite(found).all():
                raise ValueError(f"{name}: {found.shape} numbers, not {array.shape}, or one that is none")
            array[:] = found
        if (self.squares < 0.0).any():
            raise ValueError("a sum of squares below 0")


def log_odds_in_python(model: Logistic, slots: Slots, shares: Floats) -> Floats:
    """Log-odds of fraud of each row of ``slots`` uint8[n, E] and ``shares`` float64[n, E]: float64[n]. A row's terms are
    added in one order, whatever rows stand beside it."""
    z = np.full(len(slots), INTERCEPT + model.weights[0])
    for _, _, values in _terms(model, slots, shares):
        z += values
    return z


def log_odds_of_in_python(
    model: Logistic, source: Ints, starts: Ints, knots: Floats, category: Slots, matrix: Floats
) -> Floats:
    """`log_odds` of what these bins (`models.binning.Bins`) make of ``matrix``, float64[n, M]: float64[n]."""
    return log_odds_in_python(model, *encode_in_python(source, starts, knots, category, matrix))


def _terms(model: Logistic, slots: Slots, shares: Floats) -> Iterator[tuple[int, int, Floats]]:
    """Each term of the sum but the bias: its encoding, that of its partner (or the same), its values float64[n]."""
    terms, w = model.terms, model.weights
    for encoding, at in zip(terms.mains.tolist(), terms.main_at.tolist(), strict=True):
        u, here = shares[:, encoding], at + slots[:, encoding].astype(np.intp)
        yield encoding, encoding, w[here] * (1.0 - u)
        yield encoding, encoding, w[np.where(u > 0.0, here + 1, here)] * u
    pairs = (terms.left, terms.right, terms.cross_at, terms.stride)
    for left, right, at, stride in zip(*(each.tolist() for each in pairs), strict=True):
        there = ((slots[:, left] > 0) & (slots[:, right] > 0)).astype(np.float64)
        u, v = shares[:, left], shares[:, right]
        here = at + (slots[:, left].astype(np.intp) - 1) * stride + slots[:, right] - 1
        here = np.where(there > 0.0, here, 0)
        up, across = np.where(u > 0.0, stride, 0), np.where(v > 0.0, 1, 0)
        yield left, right, w[here] * ((1.0 - u) * (1.0 - v) * CROSS_SCALE) * there
        yield left, right, w[here + across] * ((1.0 - u) * v * CROSS_SCALE) * there
        yield left, right, w[here + up] * (u * (1.0 - v) * CROSS_SCALE) * there
        yield left, right, w[here + up + across] * (u * v * CROSS_SCALE) * there


def shares_in_python(model: Logistic, slots: Slots, shares: Floats) -> Floats:
    """What each encoding adds to a row's log-odds, float64[n, E]; a cross goes to both its sides, half each."""
    out = np.zeros(slots.shape)
    for one, other, values in _terms(model, slots, shares):
        out[:, one] += values / 2.0
        out[:, other] += values / 2.0
    return out


def learn_in_python(
    model: Logistic, slots: Slots, shares: Floats, labels: Floats, weights: Floats, until: float = math.inf
) -> Floats:
    """Learn row after row: ``labels`` float64[n] 0 or 1, ``weights`` float64[n], negative to take a label back. The first
    row of log-odds above ``until`` is the last that is learned. Returns the log-odds of each row learned, float64[k ≤ n],
    as they were just before: with an average, by the mean of it and the weights."""
    w, squares, average = model.weights, model.squares, model.average
    before = np.empty(len(slots))
    for row in range(len(slots)):
        values = model.terms.as_dict(slots[row], shares[row])
        z = said = INTERCEPT
        for weight, x in values.items():
            z += float(w[weight]) * x
            if average is not None:
                said += (float(w[weight]) + float(average[weight])) * 0.5 * x
        before[row] = z if average is None else said
        slope = _slope(z, float(labels[row])) * float(weights[row])
        for weight, x in values.items():
            gradient = x * slope
            squares[weight] += gradient * gradient
            w[weight] -= RATE / math.sqrt(squares[weight] + EPSILON) * gradient
        if before[row] > until:
            return before[: row + 1]
    return before


def _slope(z: float, label: float) -> float:
    """Of the log loss by the log-odds, as River has it, tails included."""
    side = 1.0 if label else -1.0
    margin = z * side
    if margin > 18.0:
        return math.exp(-margin) * -side
    if margin < -18.0:
        return -side
    return -side / (math.exp(margin) + 1.0)


LogOdds = Callable[[Logistic, Slots, Floats], Floats]


class Learn(Protocol):
    def __call__(
        self, model: Logistic, slots: Slots, shares: Floats, labels: Floats, weights: Floats, until: float = math.inf
    ) -> Floats: ...


log_odds: LogOdds
shares_of_log_odds: LogOdds
log_odds_of: Callable[[Logistic, Ints, Ints, Floats, Slots, Floats], Floats]
learn: Learn
COMPILED: bool
"""Whether the compiled form is in use. Both forms give equal numbers."""
try:
    from models import _logistic
except ImportError:
    log_odds, shares_of_log_odds, learn, COMPILED = log_odds_in_python, shares_in_python, learn_in_python, False
    log_odds_of = log_odds_of_in_python
else:
    log_odds, shares_of_log_odds, learn, COMPILED = (
        _logistic.log_odds, _logistic.shares_of_log_odds, _logistic.learn, True,
    )  # fmt: skip
    log_odds_of = _logistic.log_odds_of
