"""What became of a customer beside payments: numbers and addresses changed, SIM cards, devices, log-ins, journeys announced.

One row a customer, made of events. A row keeps the newest few of each kind, whatever order they came in and however often:
the same events give the same row. Everything goes by the events' own time; what is older than `KEPT_S` says nothing.

Each event is 5 bytes: u32 unix second, u8 kind (its place in `KINDS`). A travel notice has 9 + 2 n more: u32 and u32 from
and until when it holds (unix seconds), u8 n, and n countries of two letters; none: anywhere.
"""

import math
import struct
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from pipeline.core.records import CustomerEvent

KEPT_S: Final = 30 * 86_400.0
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
ZONES_S: Final = 12 * HOUR_S
"""A notice's days are those of wherever the journey goes: so much before and after they count as well."""
KINDS: Final = ("contact_changed", "sim_swapped", "device_added", "pin_changed", "login_failed", "travel_notice")
MOST: Final = (2, 2, 2, 2, 16, 4)
"""How many of each kind are kept."""
MAX_COUNTRIES: Final = 8
"""Of one notice; one of more holds anywhere."""
NAMES: Final = (
    "hours_since_contact_changed",
    "hours_since_sim_swap",
    "hours_since_device_added",
    "hours_since_pin_changed",
    "logins_failed_24h",
    "travel_notice",
)
EMPTY: Final = b""
_KIND_OF: Final = {
    "phone_changed": 0, "email_changed": 0, "address_changed": 0, "sim_swapped": 1, "device_added": 2, "pin_changed": 3,
    "login_failed": 4, "travel_notice": 5,
}  # fmt: skip
LOGIN, TRAVEL = KINDS.index("login_failed"), KINDS.index("travel_notice")
_EVENT: Final = struct.Struct("<IB")
_NOTICE: Final = struct.Struct("<IIB")
_U32: Final = 0xFFFF_FFFF
_nan = math.nan
Values = tuple[float, float, float, float, float, float]


class BadEvent(ValueError):
    """Why a customer event cannot be used: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class Event(NamedTuple):
    """``second`` and, of a travel notice, ``start`` and ``end``: unix seconds; ``countries``: none are all."""

    kind: int
    second: int
    start: int = 0
    end: int = 0
    countries: tuple[str, ...] = ()


def event_of(said: CustomerEvent, now: float) -> Event | None:
    """What ``said`` means here; None: nothing. ``now``: when it was written, unix seconds. Raises BadEvent."""
    kind = _KIND_OF.get(said.type)
    if kind is None:
        return None
    if not said.customer:
        raise BadEvent("customer", "customer is empty")
    at = _moment(said.time)
    if at is None:
        raise BadEvent("time", "time must be RFC 3339 with a zone, such as 2026-01-31T08:30:00+08:00")
    if not 0 <= at <= now + DAY_S:
        raise BadEvent("time", "time is more than a day after the record was written")
    if kind != TRAVEL:
        return Event(kind, int(at))
    start, end = (_day(text, name) for text, name in ((said.first, "from"), (said.last, "to")))
    if end < start:
        raise BadEvent("to", "to is before from")
    countries = tuple(sorted({country.upper() for country in said.countries or ()}))
    if not countries or not all(len(one) == 2 and one.isascii() and one.isalpha() for one in countries):
        raise BadEvent("countries", "a travel notice names its countries, each by two letters (ISO 3166)")
    first, last = start - ZONES_S, end + DAY_S + ZONES_S
    return Event(
        kind, int(at), max(int(first), 0), min(int(last), _U32), countries if len(countries) <= MAX_COUNTRIES else ()
    )


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _day(text: str | None, field: str) -> float:
    """The beginning of the day that ``text`` begins with, by UTC."""
    try:
        day = date.fromisoformat((text or "")[:10])
    except ValueError:
        raise BadEvent(field, f"{field} must be a day, such as 2026-01-31") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def observe(row: bytes, event: Event) -> bytes:
    """``row`` with ``event``, if it is not there already, and is among the newest of its kind."""
    return pack({*unpack(row), event})


def pack(events: Iterable[Event]) -> bytes:
    """The newest of each kind, in one order."""
    kept: list[Event] = []
    for kind, most in enumerate(MOST):
        mine = sorted(event for event in events if event.kind == kind)
        kept += mine[-most:]
    return b"".join(_packed(event) for event in kept)


def _packed(event: Event) -> bytes:
    head = _EVENT.pack(event.second, event.kind)
    if event.kind != TRAVEL:
        return head
    return head + _NOTICE.pack(event.start, event.end, len(event.countries)) + "".join(event.countries).encode()


def unpack(row: bytes) -> tuple[Event, ...]:
    """The events of ``row``, of each kind the oldest first. Raises ValueError for bytes that are no row."""
    found, at = [], 0
    try:
        while at < len(row):
            second, kind = _EVENT.unpack_from(row, at)
            at += _EVENT.size
            if kind != TRAVEL:
                found.append(Event(kind, second))
                continue
            start, end, count = _NOTICE.unpack_from(row, at)
            at += _NOTICE.size
            letters = row[at : at + 2 * count].decode("ascii")
            at += 2 * count
            pairs = tuple(letters[place : place + 2] for place in range(0, len(letters), 2))
            found.append(Event(kind, second, start, end, pairs))
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"no row of customer events: {error}") from error
    if at != len(row) or any(event.kind >= len(KINDS) for event in found):
        raise ValueError("no row of customer events")
    return tuple(found)


def newest(events: Iterable[Event]) -> float:
    """Until when anything is said by ``events``, less `KEPT_S`."""
    return max((max(float(event.second), event.end - KEPT_S) for event in events), default=0.0)


def values(events: Iterable[Event], now: float, country: str | None) -> Values:
    """What they say of a transaction in ``country`` at ``now`` (unix seconds), in the order of `NAMES`: hours since the
    newest change of phone, e-mail or postal address, SIM card swapped, device added, PIN changed, missing (NaN) without
    one in the last 30 days; log-ins that failed in the last 24 hours, at most 16, missing without one in 30 days; 1: a
    travel notice that holds now names this country, 0: only others, missing without one. What happened after ``now`` is
    not known."""
    since = [_nan] * LOGIN
    failed, notice = _nan, _nan
    for event in events:
        age = now - event.second
        if age < 0.0:
            continue
        if event.kind == TRAVEL:
            if event.start <= now < event.end and country is not None:
                named = not event.countries or country in event.countries
                notice = 1.0 if named or notice == 1.0 else 0.0
        elif age < KEPT_S:
            if event.kind == LOGIN:
                failed = (0.0 if failed != failed else failed) + (age < DAY_S)
            else:
                since[event.kind] = age / HOUR_S  # of each kind the newest comes last
    return (since[0], since[1], since[2], since[3], failed, notice)
