"""Points of compromise: places at which more of the cards that went bad had paid before than chance brings there.

A *bad* card has a fraud label in force. What counts is that it was at a place at all, in a span of days, before its
first fraud, and used there as it was misused later (in person or online): what a till copies comes back at tills. A card
that pays somewhere every day says no more than one that paid there once. Were a place innocent, the bad cards of each
class of like cards (as busy, of the same town) would be drawn blindly from that class, so the number of them that were
there is a sum of independent hypergeometric variables. Such a sum is one of independent trials
(Vatutin and Mikhailov, 1982), whose upper tail a Poisson variable of the same mean bounds (Hoeffding, 1956); and the
mean is only how many cards of each class were there. A card that had gone bad before a span of days began is none of
its bad cards. So the chance told here is never too small.

Looking at many places and many spans of days, one finds something by chance: the chance is multiplied by both numbers
(Bonferroni; over the places that could be named at all, after Tarone, 1990), which gives the number of places *expected
by chance* to stand out as much.

Cards that were at a leaking shop were next door too, so the shop's neighbours stand out with it. The strongest place is
named first, its bad cards are put aside as explained, and the rest is looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, lgamma
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW_DAYS: Final = (7, 14, 28, 56)
"""Spans of days looked at, each begun anew after half of it; and all days together."""
LEAST_BAD_CARDS: Final = 4
"""Fewer are a family, or two colleagues at lunch."""
BY_CHANCE: Final = 0.01
"""A place is named when no more than so many places were expected to stand out like this by chance."""

_log_factorial = np.frompyfunc(lambda k: lgamma(k + 1.0), 1, 1)


class Window(NamedTuple):
    """Days since 1970, both included."""

    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Looked:
    """What the archive tells of the places at which bad cards had been.

    ``windows``: the W spans of days. ``classes``: int64[B], the class of each bad card, out of S; ``until``: int64[B], the
    last day on which it could be exposed: before it went bad. ``place``, ``card``,
    ``day``: int64[n] each, one row for a day on which bad card ``card`` was at ``place`` before it went bad.
    ``shares``: float64[P, W, S], which share of all cards of a class was there in that window. ``looked_at``: the number
    of places that enough cards went to, bad ones among them or not.
    """

    windows: Sequence[Window]
    classes: NDArray[np.int64]
    until: NDArray[np.int64]
    place: NDArray[np.int64]
    card: NDArray[np.int64]
    day: NDArray[np.int64]
    shares: NDArray[np.float64]
    looked_at: int


class Suspected(NamedTuple):
    """A place, the most telling ``window``, its ``bad`` cards of that window, how many of them were ``expected`` there,
    and how many places were expected to stand out as much ``by_chance``. ``seen``: the first and the last day on which
    one of them was there; ``exposed``: the days on which it is likely to have leaked."""

    place: int
    window: Window
    bad: tuple[int, ...]
    expected: float
    by_chance: float
    seen: Window
    exposed: Window


def windows_of(days: Window) -> list[Window]:
    """The spans to look at within ``days``."""
    found = [days]
    for length in WINDOW_DAYS:
        latest = days.last - length + 1
        starts = range(latest, days.first, -max(1, length // 2)) if latest > days.first else ()
        found.extend(Window(first, first + length - 1) for first in starts)
    return found


def poisson_tail(k: NDArray[np.int64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """An upper bound of P(X ≥ k) for X Poisson of ``mean``, of their common shape; 1 where k does not exceed the mean:
    P(X = k) · (k + 1) / (k + 1 − mean) (Klar, 2000), at ten times the mean a hundredth too much at most."""
    exceeds = (k > mean) & (k > 0)
    some, few = np.where(exceeds, k, 1).astype(np.float64), np.where(exceeds, mean, 0.5)
    with np.errstate(divide="ignore"):
        logarithm = some * np.log(few) - few - _log_factorial(some).astype(np.float64)
    return np.where(exceeds, np.minimum(1.0, np.exp(logarithm) * (some + 1) / (some + 1 - few)), 1.0)


def suspected(looked: Looked, least: int = LEAST_BAD_CARDS, by_chance: float = BY_CHANCE) -> list[Suspected]:
    """The places to name, the strongest first; each bad card counts for one of them."""
    places, spans, classes = looked.shares.shape
    if not places or not len(looked.place):
        return []
    was_there = np.zeros((len(looked.classes), places, spans), dtype=np.bool_)
    for number, window in enumerate(looked.windows):
        within = (looked.day >= window.first) & (looked.day <= window.last)
        was_there[looked.card[within], looked.place[within], number] = True
    # one that went bad within a window had less time to be there than the others: to count all of it expects too many
    could_be_there = looked.until[:, None] >= np.array([window.first for window in looked.windows])
    left = np.ones(len(looked.classes), dtype=np.bool_)
    tests = looked.looked_at * spans
    found: list[Suspected] = []
    while left.any():
        together = np.zeros((spans, classes))
        np.add.at(together.T, looked.classes[left], could_be_there[left].astype(np.float64))
        expected = np.einsum("pws,ws->pw", looked.shares, together)
        counted = was_there[left].sum(axis=0, dtype=np.int64)
        chance = np.where(counted >= least, tests * poisson_tail(counted, expected), inf)
        place, number = divmod(int(chance.argmin()), spans)
        if chance[place, number] > by_chance:
            break
        bad = np.flatnonzero(left & was_there[:, place, number])
        window = looked.windows[number]
        seen = _seen(looked, place, window, bad)
        found.append(
            Suspected(
                place, window, tuple(bad.tolist()), float(expected[place, number]), float(chance[place, number]),
                seen, _likely(seen, len(bad), looked.windows[0]),
            )
        )  # fmt: skip
        left[bad] = False
    return found


def _seen(looked: Looked, place: int, window: Window, bad: NDArray[np.int64]) -> Window:
    there = (looked.place == place) & np.isin(looked.card, bad)
    days = looked.day[there & (looked.day >= window.first) & (looked.day <= window.last)]
    return Window(int(days.min()), int(days.max()))


def _likely(seen: Window, bad: int, days: Window) -> Window:
    """Where a uniform variable's ends are likely to be, of which ``bad`` values lie within ``seen``: as far outside as the
    values lie apart (the unbiased estimate of least variance)."""
    beyond = round((seen.last - seen.first) / (bad - 1)) if bad > 1 else 0
    return Window(max(days.first, seen.first - beyond), min(days.last, seen.last + beyond))
