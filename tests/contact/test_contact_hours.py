"""Hours in the customer's own time: open now, and from when; days of 23 and 25 hours, several zones, holidays."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from gate_world import ALMANAC, DAY_MS, PROOF, YEAR_MS, ZONES, clock_changes, ms
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contact_hours import (
    EVERY_DAY,
    Hours,
    Place,
    clock_minutes,
    day_over_ms,
    is_open,
    next_open,
    read_preferred_hours,
)

MINUTE_MS = 60_000
KNOWN = [name for name in ZONES if name and ALMANAC.zone(name)]
DAYTIME = (Hours(8 * 60, 21 * 60),)


def place(*zones: str, calendars: tuple[str, ...] = ()) -> Place:
    return Place(tuple(ZoneInfo(name) for name in zones), calendars, ALMANAC.holiday)


@pytest.mark.parametrize(
    ("hours", "zone", "asked", "opens"),
    [
        (Hours(480, 1260), "America/New_York", "2026-01-05T12:59:59.999+00:00", "2026-01-05T13:00+00:00"),
        (Hours(480, 1260), "America/New_York", "2026-01-05T13:00+00:00", "2026-01-05T13:00+00:00"),
        (Hours(480, 1260), "America/New_York", "2026-01-06T02:00+00:00", "2026-01-06T13:00+00:00"),
        # The night to 8 March has 23 hours, the one to 1 November 25.
        (Hours(480, 1260), "America/New_York", "2026-03-08T02:00+00:00", "2026-03-08T12:00+00:00"),
        (Hours(480, 1260), "America/New_York", "2026-11-01T01:30+00:00", "2026-11-01T13:00+00:00"),
        # 02:30 is skipped on 29 March in Berlin: the clock jumps into these hours at 03:00.
        (Hours(150, 300), "Europe/Berlin", "2026-03-29T00:00+00:00", "2026-03-29T01:00+00:00"),
        # 02:00–03:00 comes twice on 25 October: these hours close, and open again.
        (Hours(120, 150), "Europe/Berlin", "2026-10-25T00:00+00:00", "2026-10-25T00:00+00:00"),
        (Hours(120, 150), "Europe/Berlin", "2026-10-25T00:30+00:00", "2026-10-25T01:00+00:00"),
        (Hours(135, 150), "Europe/Berlin", "2026-10-25T00:30+00:00", "2026-10-25T01:15+00:00"),
        # On the Azores midnight of 25 October comes twice, and the first counts.
        (Hours(0, 1), "Atlantic/Azores", "2026-10-24T23:59+00:00", "2026-10-25T00:00+00:00"),
        # In Cairo, on 24 April, there is no midnight: Friday begins at 01:00.
        (Hours(0, 1440, frozenset({4})), "Africa/Cairo", "2026-04-23T20:00+00:00", "2026-04-23T22:00+00:00"),
    ],
)
def test_hours_open_by_the_wall_clock(hours: Hours, zone: str, asked: str, opens: str) -> None:
    assert next_open([hours], place(zone), ms(asked)) == ms(opens)


def test_closed_on_holidays_and_on_sunday_until_the_next_working_day() -> None:
    hours = [Hours(540, 1080, frozenset(range(6)), on_holidays=False)]
    london = place("Europe/London", calendars=("GB",))
    christmas = ms("2026-12-25T10:00")
    assert not is_open(hours, london, christmas)
    # Saturday is Boxing Day, Monday the day off in its place.
    assert next_open(hours, london, christmas) == ms("2026-12-29T09:00")


def test_of_several_zones_all_must_be_open() -> None:
    both = place("America/New_York", "America/Los_Angeles")
    assert not is_open(DAYTIME, both, ms("2026-01-05T14:00"))  # 09:00 and 06:00
    assert next_open(DAYTIME, both, ms("2026-01-05T14:00")) == ms("2026-01-05T16:00")
    assert not is_open(DAYTIME, both, ms("2026-01-06T02:30"))  # 21:30 and 18:30


def test_hours_that_never_meet_never_open() -> None:
    far = place("Pacific/Apia", "Pacific/Honolulu")
    assert next_open([Hours(480, 600, frozenset({0}))], far, YEAR_MS) is None
    assert next_open([], place("Europe/London"), YEAR_MS) is None


def test_a_calendar_day_is_over_at_midnight_in_the_last_of_the_zones() -> None:
    moment = ms("2026-03-08T15:00")  # 11:00 in New York, 05:00 in Honolulu
    assert day_over_ms(place("America/New_York"), moment, 1) == ms("2026-03-09T04:00")
    assert day_over_ms(place("America/New_York", "Pacific/Honolulu"), moment, 1) == ms("2026-03-09T10:00")
    assert day_over_ms(place("America/New_York"), moment, 7) == ms("2026-03-15T04:00")


@st.composite
def moments(draw: st.DrawFn, zone: str) -> int:
    """Any moment of 2026, or one near a clock change of the zone."""
    changes = clock_changes(zone)
    if changes and draw(st.booleans()):
        return draw(st.sampled_from(changes)) + draw(st.integers(-26 * 60, 4 * 60)) * MINUTE_MS
    return YEAR_MS + draw(st.integers(0, 365 * 24 * 60 - 1)) * MINUTE_MS


@settings(max_examples=50 * PROOF, deadline=None)
@given(st.data())
def test_the_next_opening_is_the_first_open_minute(data: st.DataObject) -> None:
    zones = data.draw(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=2, unique=True))
    start = data.draw(st.integers(0, 1439))
    end = data.draw(st.integers(start + 1, 1440))
    days = data.draw(st.sets(st.integers(0, 6), min_size=1)) if data.draw(st.booleans()) else EVERY_DAY
    from_ms = data.draw(moments(zones[0]))
    infos = [ZoneInfo(name) for name in zones]

    def opened(moment_ms: int) -> bool:
        at = datetime.fromtimestamp(moment_ms / 1000, UTC)
        local = [at.astimezone(zone) for zone in infos]
        return all(start <= now.hour * 60 + now.minute < end and now.weekday() in days for now in local)

    found = next_open([Hours(start, end, days)], place(*zones), from_ms)
    first = next((at for at in range(from_ms, from_ms + 2 * DAY_MS, MINUTE_MS) if opened(at)), None)
    if first is None:
        assert found is None or (found >= from_ms + 2 * DAY_MS and opened(found))
    else:
        assert found == first


@pytest.mark.parametrize(
    ("wish", "hours"),
    [
        (None, ()),
        ("18:00-20:30", (Hours(1080, 1230),)),
        ("18:00 – 20:30", (Hours(1080, 1230),)),
        ({"start": "09:00", "end": "12:00", "days": ["sat"]}, (Hours(540, 720, frozenset({5})),)),
        (["09:00-12:00", {"start": "18:00", "end": "24:00"}], (Hours(540, 720), Hours(1080, 1440))),
        ({"start": "22:00", "end": "02:00", "days": ["sun"]},
         (Hours(1320, 1440, frozenset({6})), Hours(0, 120, frozenset({0})))),
        ("22:00-00:00", (Hours(1320, 1440),)),
    ],
)  # fmt: skip
def test_preferred_hours_are_read(wish: object, hours: tuple[Hours, ...]) -> None:
    assert read_preferred_hours(wish) == hours


@pytest.mark.parametrize(
    "wish", ["evenings", "25:00-26:00", "09:00-09:00", 9, {"start": 9, "end": 12}, ["09:00-12:00", "x"], ["1"] * 99,
             {"start": "09:00", "end": "12:00", "days": "sat"}, ["09:00-12:00"] * 99]
)  # fmt: skip
def test_a_wish_that_cant_be_read_is_told_from_none(wish: object) -> None:
    assert read_preferred_hours(wish) is None


def test_times_end_at_twenty_four() -> None:
    assert clock_minutes("24:00") == 1440
    assert clock_minutes("24:01") is None
    assert clock_minutes("8:00") is None


@pytest.mark.parametrize("name", ["", "Nowhere/Else", "Europe", "../etc/passwd", "/etc/passwd", "a\0b", "Ü" * 400])
def test_what_is_no_zone_is_unknown(name: str) -> None:
    assert ALMANAC.zone(name) is None


def test_calendars_of_countries_and_their_parts() -> None:
    assert ALMANAC.calendar("GB-SCT")
    assert not ALMANAC.calendar("GB-XXX")
    assert not ALMANAC.calendar("XX")
    assert ALMANAC.holiday("GB-SCT", date(2026, 1, 2)) is not None
    assert ALMANAC.holiday("GB-ENG", date(2026, 1, 2)) is None
