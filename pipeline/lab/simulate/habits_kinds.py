"""What people buy in the preset ``habits``, who they are, and how much of that a seed changes.

Every seed is another country: what things cost, when people are about, what thieves go for and how boldly are drawn
around the tables here, so that nothing can be tuned to one of them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY = (1, 0.5, 0.3, 0.2, 0.2, 0.5, 2, 5, 8, 10, 11, 11, 10, 10, 10, 10, 10, 10, 9, 7, 5, 3, 2, 1)
MEALS = (2, 1, 0.5, 0.3, 0.3, 0.5, 3, 7, 7, 4, 4, 10, 14, 10, 4, 3, 5, 9, 14, 13, 9, 6, 4, 3)
EVENING = (4, 2, 1, 0.6, 0.4, 0.4, 0.8, 1.5, 2, 3, 4, 5, 6, 6, 6, 7, 8, 9, 11, 13, 14, 13, 10, 7)
ANY_TIME = (5, 4, 3, 2, 2, 2, 3, 4, 5, 5, 5, 6, 7, 7, 7, 7, 7, 7, 8, 9, 10, 10, 9, 7)


class Category(NamedTuple):
    """``median`` of an amount in minor units and its log-normal ``sigma``; ``weight`` among a cardholder's payments;
    ``weekend`` and ``december`` factors of that; ``thief``: weight, median and whether it is what thieves go for."""

    name: str
    mcc: str
    median: float
    sigma: float
    weight: float
    hours: tuple[float, ...]
    online: bool = False
    weekend: float = 1.0
    december: float = 1.0
    thief: float = 0.3
    thief_median: float = 8_000.0


CATEGORIES = (
    Category("grocery", "5411", 9_500, 0.55, 13, DAY, weekend=1.5, thief=17, thief_median=30_000),
    Category("grocery online", "5422", 5_000, 0.5, 5, ANY_TIME, online=True, thief=1.5),
    Category("fuel", "5541", 6_200, 0.25, 13, ANY_TIME, thief=6, thief_median=1_200),
    Category("dining", "5812", 4_200, 0.8, 9, MEALS, weekend=1.6, thief=1.5, thief_median=11_000),
    Category("fast food", "5814", 1_400, 0.6, 8, MEALS, weekend=1.2),
    Category("entertainment", "7832", 4_500, 0.9, 7, EVENING, weekend=1.8, thief=2, thief_median=40_000),
    Category("shopping", "5311", 4_000, 1.3, 9, DAY, weekend=1.7, december=1.9, thief=9, thief_median=85_000),
    Category("shopping online", "5969", 4_500, 1.35, 9, EVENING, online=True, december=1.9, thief=24, thief_median=98_000),
    Category("misc", "5331", 3_000, 1.3, 6, DAY, thief=3, thief_median=20_000),
    Category("misc online", "7399", 4_200, 1.3, 5, ANY_TIME, online=True, december=1.3, thief=13, thief_median=78_000),
    Category("kids", "5641", 5_000, 0.7, 7, DAY, weekend=1.4, december=1.5, thief=2, thief_median=3_000),
    Category("home", "5200", 5_500, 0.7, 8, DAY, weekend=1.6, thief=2, thief_median=26_000),
    Category("health", "5912", 5_000, 0.8, 6, DAY, weekend=0.7, thief=1.5, thief_median=2_200),
    Category("personal care", "7230", 3_800, 0.8, 6, DAY, thief=2, thief_median=2_800),
    Category("travel", "4722", 9_000, 1.5, 2.5, ANY_TIME, online=True, thief=1.2, thief_median=15_000),
    Category("subscription", "4899", 1_800, 0.6, 0, ANY_TIME, online=True, thief=0),
)  # fmt: skip
SUBSCRIPTION = len(CATEGORIES) - 1


class Profile(NamedTuple):
    """A kind of cardholder: payments a day, spending, how far into the night, weekends, share that is online, how often
    out of town; ``share`` of the cards."""

    share: float
    daily: float
    spends: float
    night: float
    weekend: float
    online: float
    out_of_town: float


PROFILES = (
    Profile(0.17, 2.6, 0.75, 2.5, 1.3, 1.5, 0.06),  # young, in town
    Profile(0.08, 2.0, 0.70, 2.0, 1.4, 1.3, 0.16),  # young, in the country
    Profile(0.28, 3.2, 1.15, 1.0, 1.4, 1.0, 0.05),  # in the middle of life, in town
    Profile(0.17, 2.7, 1.05, 0.8, 1.5, 0.9, 0.14),  # in the middle of life, in the country
    Profile(0.18, 2.3, 1.10, 0.3, 0.9, 0.6, 0.04),  # older, in town
    Profile(0.12, 1.7, 1.00, 0.2, 0.9, 0.5, 0.10),  # older, in the country
)
NIGHT_HOURS = np.array([22, 23, 0, 1, 2, 3])


class Character(NamedTuple):
    """What a seed's country is like. P profiles, C categories; ``hours`` [P · C, 24] running sums, ``weights`` [P, C],
    ``thief_*`` per category or hour; ``boldness`` scales thieves' amounts, ``burst_s`` is the shortest and longest
    burst, ``burst_size`` its mean number of payments, ``cloned`` the share of bursts with the card itself at hand."""

    shares: Floats
    daily: Floats
    spends: Floats
    weekend: Floats
    out_of_town: Floats
    weights: Floats
    hours: Floats
    median: Floats
    sigma: Floats
    weekend_weight: Floats
    december_weight: Floats
    thief_weights: Floats
    thief_median: Floats
    thief_sigma: float
    thief_hours: Floats
    far: float
    abroad: float
    cloned: float
    burst_s: tuple[float, float]
    burst_size: float
    fraud_share: float


def character(draws: np.random.Generator) -> Character:
    """What ``draws`` make of the tables."""

    def around(values: Floats, sigma: float) -> Floats:
        varied: Floats = values * np.exp(draws.normal(0.0, sigma, values.shape))
        return varied

    categories = {name: np.array([category[place] for category in CATEGORIES]) for place, name in _NUMBERS}
    profiles = {name: np.array([profile[place] for profile in PROFILES]) for place, name in enumerate(Profile._fields)}
    online = np.array([category.online for category in CATEGORIES])
    weights = around(categories["weight"] * np.where(online, profiles["online"][:, None], 1.0), 0.25)
    night_share = draws.uniform(0.6, 0.88)
    thief_hours = np.full(24, (1 - night_share) / 18)
    thief_hours[NIGHT_HOURS] = night_share / len(NIGHT_HOURS)
    boldness = np.exp(draws.normal(-0.05, 0.15))
    shortest = draws.uniform(2, 5) * 3_600
    return Character(
        shares=around(profiles["share"], 0.15),
        daily=around(profiles["daily"], 0.12),
        spends=around(profiles["spends"], 0.1),
        weekend=around(profiles["weekend"], 0.1),
        out_of_town=around(profiles["out_of_town"], 0.25),
        weights=weights,
        hours=_hours(draws, profiles["night"]),
        median=around(categories["median"], 0.2),
        sigma=around(categories["sigma"], 0.12),
        weekend_weight=around(categories["weekend"], 0.08),
        december_weight=around(categories["december"], 0.08),
        thief_weights=around(categories["thief"], 0.35),
        thief_median=around(categories["thief_median"], 0.25) * boldness,
        thief_sigma=draws.uniform(0.25, 0.5),
        thief_hours=around(thief_hours, 0.15),
        far=draws.uniform(0.2, 0.6),
        abroad=draws.uniform(0.02, 0.12),
        cloned=draws.uniform(0.35, 0.6),
        burst_s=(shortest, draws.uniform(30, 48) * 3_600),
        burst_size=draws.uniform(7, 11),
        fraud_share=draws.uniform(0.0045, 0.0058),
    )


_NUMBERS = [
    (place, name) for place, name in enumerate(Category._fields) if name not in ("name", "mcc", "hours", "online")
]


def _hours(draws: np.random.Generator, night: Floats) -> Floats:
    """Running sums [P · C, 24], each ending in 1. Some countries rise an hour earlier or later."""
    shift = int(draws.integers(-1, 2))
    table = np.roll(np.array([category.hours for category in CATEGORIES]), shift, axis=1)
    table = np.repeat(table[None], len(night), axis=0)
    table[:, :, NIGHT_HOURS] *= night[:, None, None]
    cumulative = np.cumsum(table.reshape(-1, 24) * np.exp(draws.normal(0.0, 0.1, (table.size // 24, 24))), axis=1)
    summed: Floats = cumulative / cumulative[:, -1:]
    return summed
