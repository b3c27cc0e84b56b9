"""Numbers as people read them: money, shares, percentiles, durations, features in their units."""

import math
from collections.abc import Mapping

from pipeline.core.currencies import EXPONENTS

NOTHING = "–"
MOST_PERCENT = 99.99
_DURATIONS = ((86_400.0, "unit_days"), (3_600.0, "unit_hours"), (60.0, "unit_minutes"))


def money(minor: int | None, currency: str | None) -> str:
    """Minor units in the currency's own precision: ``CNY 12,350.00``, ``JPY 5,000``."""
    if minor is None or currency is None:
        return NOTHING
    digits = EXPONENTS.get(currency, 2)
    whole, rest = divmod(abs(minor), 10**digits)
    fraction = f".{rest:0{digits}d}" if digits else ""
    return f"{currency} {'-' if minor < 0 else ''}{whole:,}{fraction}"


def percent(share: float) -> str:
    """A share of 1 with two significant digits: ``34%``, ``0.12%``."""
    value = share * 100
    if value <= 0:
        return "0%"
    digits = min(4, max(0, 1 - math.floor(math.log10(value))))
    return f"{value:.{digits}f}%"


def cut_percentile(percentile: float) -> str:
    """Cut, not rounded: 99.996 must not read as 100."""
    return f"{min(math.floor(percentile * 100) / 100, MOST_PERCENT):g}%"


def number(value: float) -> str:
    """Whole numbers whole, others with one decimal where that says enough."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def feature(value: float | None, unit: str, billing_currency: str, text: Mapping[str, str]) -> str:
    """A feature's value in its catalogue's ``unit``; a missing one is a dash."""
    if value is None or math.isnan(value):
        return NOTHING
    if unit == "minor" and math.isfinite(value):
        return money(round(value), billing_currency)
    if unit == "flag":
        return text["yes" if value else "no"]
    if unit == "share":
        return percent(value)
    if unit == "seconds":
        for seconds, words in _DURATIONS:
            if value >= seconds:
                return text[words].format(n=number(value / seconds))
        return text["unit_seconds"].format(n=number(value))
    if unit == "code":
        return f"{value:.0f}"
    key = {"": "unit_times", "days": "unit_days", "hours": "unit_hours"}.get(unit)
    if key is not None:
        return text[key].format(n=number(value))
    return number(value) if unit in ("count", "deviations") else f"{number(value)} {unit}"
