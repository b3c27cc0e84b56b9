"""What a merchant usually sees, without any label: its amounts, its payments a day, and cards that were never there before.

Where a transaction names no merchant its terminal stands for one. A merchant's habits are a line of nine numbers, learned
from every attempt in the order in which the learner reads them. Amounts are learned as a card's are
(`pipeline.core.profile_habits.learn_amount`): a slow mean and mean absolute deviation of log(1 + amount), no payment moving
them by more than three deviations. Counters fade over an hour, a day and 30 days. An attempt that comes late counts as one
of now.

*Card testing.* Whoever tries stolen cards tries them where none of them was ever used: cards new to the merchant, within
an hour, beside how many it usually sees.

*A burst is not a habit.* What comes faster than `CALM` times the usual weighs so much less in what is usual as it comes
faster: an hour of fraud is learned as `CALM` usual hours at most, whatever its size.

*Told and true.* Scorers know a merchant's line as it was told them last. It is told again when something that follows from
it has moved by more than `STEP`.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.profile_habits import CLIP_DEVIATIONS, MEMORY_SPENDS, MIN_DEVIATION, MIN_SPENDS, YOUNG_DEVIATION

Floats = NDArray[np.float64]
Lines = NDArray[np.int64]

HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
USUAL_DAYS: Final = 30.0
CALM: Final = 3.0
STEP: Final = 0.1
"""Deviations of amounts; of what is a ratio the share of itself, or of 1 where it is less."""
SIGMA: Final = 1.2533
"""Mean absolute deviations in a standard deviation of a normal distribution."""
WIDTH: Final = 9
PAYMENTS, NEWEST, FIRST, MEAN, DEVIATION, DAY, USUAL, NEW_HOUR, NEW_USUAL = range(WIDTH)
"""Of a line: amounts learned from; unix seconds of the newest and the first attempt, 0: never seen; mean and mean absolute
deviation of log(1 + amount); attempts faded over a day, and over 30 days; those of new cards faded over an hour, and over
30 days."""
NAMES: Final = ("amount_z", "count_24h_ratio", "new_cards_1h_ratio", "age_days")
"""Of the values, in their order."""
NOBODY: Final = 0
"""The line of no merchant, and of those that are not known: never seen."""
_nan = math.nan


def observe(line: list[float], at: float, amount: float, new: bool) -> None:
    """``line`` after an attempt of ``amount`` (billing minor units, NaN or 0: nothing to learn amounts from) at ``at``, by
    a card that is ``new`` to the merchant or not."""
    if line[NEWEST] == 0.0:
        line[NEWEST] = line[FIRST] = at
    since = max(at - line[NEWEST], 0.0)
    line[NEWEST] = max(line[NEWEST], at)
    line[FIRST] = min(line[FIRST], at)
    month = math.exp(-since / (USUAL_DAYS * DAY_S))
    line[DAY] = line[DAY] * math.exp(-since / DAY_S) + 1.0
    line[USUAL] *= month
    line[NEW_HOUR] *= math.exp(-since / HOUR_S)
    line[NEW_USUAL] *= month
    if new:
        line[NEW_HOUR] += 1.0
    weight = 1.0
    if line[PAYMENTS] >= MIN_SPENDS:
        days = _observed_days(line, line[NEWEST])
        faster = max(line[DAY] / (1.0 + line[USUAL] / days), line[NEW_HOUR] / (1.0 + line[NEW_USUAL] / (24.0 * days)))
        if faster > CALM:
            weight = CALM / faster
    line[USUAL] += weight
    if new:
        line[NEW_USUAL] += weight
    if amount > 0.0:
        _learn_amount(line, math.log1p(amount), weight)


def _learn_amount(line: list[float], x: float, weight: float) -> None:
    payments = line[PAYMENTS]
    line[PAYMENTS] = payments + 1.0
    if payments == 0.0:
        line[MEAN] = x
        return
    limit = CLIP_DEVIATIONS * max(line[DEVIATION], MIN_DEVIATION if payments >= MIN_SPENDS else YOUNG_DEVIATION)
    gap = min(max(x - line[MEAN], -limit), limit)
    line[MEAN] += weight * gap / min(payments + 1.0, MEMORY_SPENDS)
    line[DEVIATION] += weight * (abs(gap) - line[DEVIATION]) / min(payments, MEMORY_SPENDS)


def _observed_days(line: Sequence[float], at: float) -> float:
    """How many days the counters over 30 days amount to."""
    return max(USUAL_DAYS * (1.0 - math.exp((line[FIRST] - at) / (USUAL_DAYS * DAY_S))), 1.0)


def _ratios(line: Sequence[float], at: float) -> tuple[float, float]:
    """Attempts within about a day, with one of now, and new cards within about an hour, beside the usual."""
    since = max(at - line[NEWEST], 0.0)
    days = _observed_days(line, at)
    month = math.exp(-since / (USUAL_DAYS * DAY_S))
    day = (line[DAY] * math.exp(-since / DAY_S) + 1.0) / (1.0 + line[USUAL] * month / days)
    hour = line[NEW_HOUR] * math.exp(-since / HOUR_S) / (1.0 + line[NEW_USUAL] * month / (24.0 * days))
    return day, hour


def values(line: Sequence[float], at: float, amount: float) -> tuple[float, float, float, float]:
    """How an attempt of ``amount`` at ``at`` looks against ``line``, in the order of `NAMES`: deviations of the amount
    above the usual one, on a log scale; attempts within about a day, this one too, times the usual number; new cards
    within about an hour before, times the usual number; days since the merchant was first seen. All missing (NaN) of a
    merchant that is not known, all but the last before `MIN_SPENDS` amounts are."""
    if line[NEWEST] == 0.0:
        return _nan, _nan, _nan, _nan
    age = max(at - line[FIRST], 0.0) / DAY_S
    if line[PAYMENTS] < MIN_SPENDS:
        return _nan, _nan, _nan, age
    day, hour = _ratios(line, at)
    z = _nan
    if amount > 0.0:
        z = (math.log1p(amount) - line[MEAN]) / (SIGMA * max(line[DEVIATION], MIN_DEVIATION))
    return z, day, hour, age


def differs(line: Sequence[float], told: Sequence[float]) -> bool:
    """Whether ``line`` is to be told: something has moved by more than `STEP` from what follows from ``told``."""
    if line[NEWEST] == 0.0:
        return False
    if told[NEWEST] == 0.0 or (told[PAYMENTS] < MIN_SPENDS) != (line[PAYMENTS] < MIN_SPENDS):
        return True
    if line[PAYMENTS] < MIN_SPENDS:
        return False
    spread, was = max(line[DEVIATION], MIN_DEVIATION), max(told[DEVIATION], MIN_DEVIATION)
    if abs(line[MEAN] - told[MEAN]) > STEP * SIGMA * was or abs(spread - was) > STEP * was:
        return True
    at = line[NEWEST]
    day, hour = _ratios(line, at)
    day_told, hour_told = _ratios(told, at)
    return abs(day - day_told) > STEP * max(day_told, 1.0) or abs(hour - hour_told) > STEP * max(hour_told, 1.0)


def as_told(line: Sequence[float]) -> list[float]:
    """``line`` as a row of bytes holds it: whole seconds, the rest in single precision."""
    whole = [float(math.floor(line[number])) for number in (PAYMENTS, NEWEST, FIRST)]
    single: list[float] = np.array(line[MEAN:], dtype=np.float32).astype(np.float64).tolist()
    return whole + single


def observe_rows(lines: Lines, times: Floats, amounts: Floats, new: NDArray[np.uint8], state: Floats) -> None:
    """`observe` the attempts of ``n`` rows, in order, in the lines int64[n] of ``state`` (float64[m, `WIDTH`]); those of
    `NOBODY` are passed over."""
    columns = zip(lines.tolist(), times.tolist(), amounts.tolist(), new.tolist(), strict=True)
    for number, at, amount, is_new in columns:
        if number != NOBODY:
            line = state[number].tolist()
            observe(line, at, amount, bool(is_new))
            state[number] = line


def settle(lines: Lines, state: Floats, told: Floats) -> NDArray[np.uint8]:
    """Tell those ``lines`` of ``state`` that differ from ``told``: uint8[n], 1 for a line that did."""
    found = np.zeros(len(lines), dtype=np.uint8)
    for place, number in enumerate(lines.tolist()):
        if differs(state[number].tolist(), told[number].tolist()):
            told[number] = as_told(state[number].tolist())
            found[place] = 1
    return found


def values_of(lines: Lines, times: Floats, amounts: Floats, told: Floats, found: Floats) -> None:
    """Fill ``found`` float64[n, 4] with the `values` of ``n`` rows, each by itself."""
    for place, (number, at, amount) in enumerate(zip(lines.tolist(), times.tolist(), amounts.tolist(), strict=True)):
        found[place] = values(told[number].tolist(), at, amount)


def walk(
    lines: Lines, times: Floats, amounts: Floats, new: NDArray[np.uint8], learned: NDArray[np.uint8],
    state: Floats, told: Floats, found: Floats, second: float, pending: list[int],
) -> float:  # fmt: skip
    """`values_of` and `observe_rows` of those ``learned``, row by row, for who scores beside the learner: at the first row
    of each second of event time everything ``pending`` (lines that were touched) is told. Answers the second, for the
    next call."""
    for place, (number, at) in enumerate(zip(lines.tolist(), times.tolist(), strict=True)):
        if math.floor(at) > second:
            second = float(math.floor(at))
            settle(np.array(pending, dtype=np.int64), state, told)
            pending.clear()
        row = slice(place, place + 1)
        values_of(lines[row], times[row], amounts[row], told, found[row])
        if number != NOBODY and learned[place]:
            observe_rows(lines[row], times[row], amounts[row], new[row], state)
            pending.append(number)
    return second
