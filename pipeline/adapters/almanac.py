"""Time zones and public holidays of this world: the IANA database (the system's, else the tzdata package's) and the
``holidays`` package. The core asks for both by name."""

from datetime import date, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.core.contact_hours import Almanac

if TYPE_CHECKING:
    from holidays import HolidayBase

MAX_NAMES = 1024
"""Zones and calendars remembered, known or not. There are about 600 zones; what records call one is anything."""


def world_almanac() -> Almanac:
    """An almanac with a memory of its own. ``holidays`` takes up to 0.7 s to import, so it is imported when a profile
    first asks for a holiday."""
    calendar = lru_cache(MAX_NAMES)(_calendar)

    def holiday(name: str, day: date) -> str | None:
        found = calendar(name).get(day)
        return str(found) if found else None

    return Almanac(zone=lru_cache(MAX_NAMES)(_zone), holiday=holiday, calendar=_known)


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # none such; a directory's name; not a zone's file
        return None


def _known(name: str) -> bool:
    from holidays import list_supported_countries

    country, _, part = name.partition("-")
    supported = list_supported_countries()
    return country in supported and (not part or part in supported[country])


def _calendar(name: str) -> "HolidayBase":
    from holidays import country_holidays

    country, _, part = name.partition("-")
    return country_holidays(country, subdiv=part or None)
