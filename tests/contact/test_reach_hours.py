"""A better hour for what can wait: later the same day, within what the gates allow, before it expires; never for fraud."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contact_hours import Place, day_over_ms
from pipeline.core.reach import Tally, block_of
from pipeline.core.reach_hours import LEAST_TRIED, Later, better_hour

SHANGHAI = Place((ZoneInfo("Asia/Shanghai"),), (), lambda calendar, day: None)
TWO = Place((ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Tokyo")), (), lambda calendar, day: None)
HOUR_MS = 3_600_000
NINE_MS = 1_767_229_200_000
"""09:00 in Shanghai."""
EIGHTEEN_MS = NINE_MS + 9 * HOUR_MS
EVENINGS = {0: Tally(0, 0), 1: Tally(20, 100), 2: Tally(22, 100), 3: Tally(45, 100)}


def any_time(moment_ms: int) -> int | None:
    return moment_ms


def at_nine(
    tallies: dict[int, Tally] = EVENINGS,
    class_: str = "reminder",
    place: Place = SHANGHAI,
    expires_ms: int = NINE_MS + 99 * HOUR_MS,
    opening: Callable[[int], int | None] = any_time,
) -> Later | None:
    return better_hour(class_, place, NINE_MS, expires_ms, lambda block: tallies.get(block, Tally()), opening)


def test_the_block_that_reaches_most_is_waited_for() -> None:
    assert at_nine() == Later(3, EIGHTEEN_MS)
    assert at_nine({**EVENINGS, 2: Tally(60, 100)}) == Later(2, NINE_MS + 3 * HOUR_MS)


@pytest.mark.parametrize("class_", ["fraud", "collection"])
def test_what_cannot_wait_does_not(class_: str) -> None:
    assert at_nine(class_=class_) is None


def test_little_knowledge_and_little_gain_are_not_waited_for() -> None:
    few = LEAST_TRIED - 1
    assert at_nine({**EVENINGS, 3: Tally(few, few)}) is None
    assert at_nine({**EVENINGS, 1: Tally(few / 9, few)}) is None, "nor is a block left that is hardly known"
    assert at_nine({1: Tally(20, 100), 3: Tally(24, 100)}) is None


def test_it_is_never_put_off_beyond_its_expiry_or_where_the_customers_hour_is_not_known() -> None:
    assert at_nine(expires_ms=EIGHTEEN_MS) is None
    assert at_nine(expires_ms=EIGHTEEN_MS + 1) == Later(3, EIGHTEEN_MS)
    assert at_nine(place=TWO) is None


def test_within_the_block_the_gates_decide() -> None:
    assert at_nine(opening=lambda moment_ms: moment_ms + HOUR_MS) == Later(3, EIGHTEEN_MS + HOUR_MS)
    assert at_nine(opening=lambda moment_ms: moment_ms + 7 * HOUR_MS) is None, "closed until after midnight"
    assert at_nine(opening=lambda moment_ms: moment_ms + 24 * HOUR_MS) is None, "tomorrow is another day"
    assert at_nine(opening=lambda moment_ms: None) is None


@given(
    st.integers(NINE_MS - 10**10, NINE_MS + 10**10),
    st.integers(1, 40 * HOUR_MS),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=4, max_size=4),
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
)
def test_whatever_is_known_it_is_the_same_day_a_later_block_before_expiry(
    now_ms: int, lives_ms: int, counts: list[tuple[int, int]], zone: str
) -> None:
    place = Place((ZoneInfo(zone),), (), lambda calendar, day: None)
    found = better_hour(
        "service",
        place,
        now_ms,
        now_ms + lives_ms,
        lambda block: Tally(min(counts[block]), max(counts[block])),
        any_time,
    )
    if found is not None:
        assert now_ms < found.moment_ms < min(now_ms + lives_ms, day_over_ms(place, now_ms, 1))
        assert block_of(place, found.moment_ms) == found.block > (block_of(place, now_ms) or 0)
