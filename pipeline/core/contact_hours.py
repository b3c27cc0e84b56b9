"""When may a customer be contacted? Daily hours in the customer's own time: open now, and if not, from when?

Hours are wall-clock times. Whether they are open is asked of the wall clock at an instant, so a day of 23 or 25 hours
needs no rule of its own; only the search for the next opening has to know that a wall time may be skipped or come
twice. Where several zones are possible (the customer's is unknown), hours are open only while they are in all of them.
Instants are unix milliseconds. What time zones and public holidays there are comes in with an `Almanac`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
DAY_MINUTES = 24 * 60
DAY_MS = 86_400_000
SEARCH_DAYS = 400
"""No opening is sought further ahead: whatever opens at all opens within a year."""
MAX_PREFERENCES = 14
"""Pairs of times one customer may wish for: two for each day of the week."""
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


class Almanac(NamedTuple):
    """``zone``: the time zone of an IANA name, None if there is none such. ``holiday``: the public holiday of a
    calendar (ISO 3166 country or subdivision: US, GB-SCT) on a date, None if it is none; ``calendar``: whether there
    is such a calendar."""

    zone: Callable[[str], tzinfo | None]
    holiday: Callable[[str, date], str | None]
    calendar: Callable[[str], bool]


class Place(NamedTuple):
    """Where a customer is: the zones this may be in and the holiday calendars that hold there."""

    zones: tuple[tzinfo, ...]
    calendars: tuple[str, ...]
    holiday: Callable[[str, date], str | None]


class Hours(NamedTuple):
    """From ``start`` to before ``end`` (minutes after midnight, end up to 1440) on ``days`` (0 is Monday)."""

    start: int
    end: int
    days: Collection[int] = EVERY_DAY
    on_holidays: bool = True


def clock_minutes(text: str) -> int | None:
    """``HH:MM``, 00:00 to 24:00, as minutes after midnight; None if it is no such text."""
    found = _CLOCK.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found else DAY_MINUTES + 1
    return minutes if minutes <= DAY_MINUTES else None


def is_open(hours: Sequence[Hours], place: Place, moment_ms: int) -> bool:
    """Whether some of ``hours`` are open at that instant, in every zone of ``place``."""
    return all(_open_in(hours, place, zone, moment_ms) for zone in place.zones)


def next_open(hours: Sequence[Hours], place: Place, from_ms: int) -> int | None:
    """The first millisecond at or after ``from_ms`` when ``hours`` are open; None if there is none within
    `SEARCH_DAYS`."""
    last_ms = from_ms + SEARCH_DAYS * DAY_MS
    moment_ms = from_ms
    while moment_ms <= last_ms:
        later_ms = moment_ms
        for zone in place.zones:
            opening = _next_in(hours, place, zone, later_ms)
            if opening is None:
                return None
            later_ms = opening
        if later_ms == moment_ms:
            return moment_ms
        moment_ms = later_ms
    return None


def day_over_ms(place: Place, moment_ms: int, days: int) -> int:
    """When the customer's calendar day of that instant and the ``days`` - 1 after it are over in all zones."""
    return max(_instant(local(moment_ms, zone).date() + timedelta(days=days), time.min, zone) for zone in place.zones)


def local_hour(moment_ms: int, zone: tzinfo) -> int:
    """0 to 23, by the clock of that zone."""
    return local(moment_ms, zone).hour


def local(moment_ms: int, zone: tzinfo) -> datetime:
    """What a clock there shows."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(zone)


def _holiday(place: Place, day: date) -> str | None:
    return next((name for calendar in place.calendars if (name := place.holiday(calendar, day))), None)


def _open_in(hours: Sequence[Hours], place: Place, zone: tzinfo, moment_ms: int) -> bool:
    now = local(moment_ms, zone)
    minute = now.hour * 60 + now.minute
    return any(
        each.start <= minute < each.end
        and now.weekday() in each.days
        and (each.on_holidays or _holiday(place, now.date()) is None)
        for each in hours
    )


def _next_in(hours: Sequence[Hours], place: Place, zone: tzinfo, from_ms: int) -> int | None:
    if _open_in(hours, place, zone, from_ms):
        return from_ms
    first = local(from_ms, zone).date()
    for ahead in range(SEARCH_DAYS):
        day = first + timedelta(days=ahead)
        for moment_ms in sorted(_turns(hours, day, zone)):
            if moment_ms >= from_ms and _open_in(hours, place, zone, moment_ms):
                return moment_ms
    return None


def _turns(hours: Sequence[Hours], day: date, zone: tzinfo) -> Iterator[int]:
    """Every instant of that day at which closed hours may open: where they start, both times if the hour comes twice,
    and where the clock is changed, which may jump into them."""
    for each in hours:
        start = time(*divmod(each.start, 60)) if each.start < DAY_MINUTES else time.max
        for fold in (0, 1):
            yield _instant(day, start, zone, fold)
    begin_ms = _instant(day, time.min, zone) - 1
    end_ms = _instant(day + timedelta(days=1), time.min, zone)
    before = local(begin_ms, zone).utcoffset()
    if before != local(end_ms, zone).utcoffset():
        while end_ms - begin_ms > 1:
            middle_ms = (begin_ms + end_ms) // 2
            if local(middle_ms, zone).utcoffset() == before:
                begin_ms = middle_ms
            else:
                end_ms = middle_ms
        yield end_ms


def _instant(day: date, clock: time, zone: tzinfo, fold: int = 0) -> int:
    """A wall time as an instant. One that is skipped lies as far behind the change as it would have without it."""
    return round(datetime.combine(day, clock.replace(fold=fold), zone).timestamp() * 1000)


def read_preferred_hours(wish: Any) -> tuple[Hours, ...] | None:
    """A customer's ``preferred_hours``: "18:00-20:30", {"start", "end", "days"?: ["mon", …]} or a list of these. Hours
    may run over midnight. Empty if nothing is wished; None if what stands there can't be read."""
    if wish in (None, "", [], {}):
        return ()
    found: list[Hours] = []
    for each in wish if isinstance(wish, list) else [wish]:
        read = _read_one(each)
        if read is None or len(found) + len(read) > 2 * MAX_PREFERENCES:
            return None
        found += read
    return tuple(found)


def _read_one(wish: Any) -> list[Hours] | None:
    names: Any = None
    if isinstance(wish, dict):
        start_text, end_text, names = wish.get("start"), wish.get("end"), wish.get("days")
    elif isinstance(wish, str):
        start_text, _, end_text = wish.replace("–", "-").replace(" ", "").partition("-")
    else:
        return None
    if not isinstance(start_text, str) or not isinstance(end_text, str):
        return None
    if names is not None and not (isinstance(names, list) and names and all(name in DAYS for name in names)):
        return None
    start, end = clock_minutes(start_text), clock_minutes(end_text)
    if start is None or end is None or start == end:
        return None
    days = frozenset(DAYS.index(name) for name in names) if names else EVERY_DAY
    if start < end:
        return [Hours(start, end, days)]
    evening = [Hours(start, DAY_MINUTES, days)] if start < DAY_MINUTES else []
    return [*evening, Hours(0, end, frozenset((day + 1) % 7 for day in days))] if end else evening
