"""Moments as they stand in records."""

from datetime import UTC, datetime
from functools import lru_cache

_DAY_S = 86_400


def rfc3339(moment: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond (what is beyond is cut off, after rounding to microseconds)."""
    second = int(moment)
    micros = round((moment - second) * 1e6)
    if not 0 <= micros < 1_000_000:  # before 1970, or rounded up to the next second
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    day, second = divmod(second, _DAY_S)
    minute, second = divmod(second, 60)
    return f"{_date(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}.{micros // 1_000:03d}Z"


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_S, UTC).date().isoformat()
