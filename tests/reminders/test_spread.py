"""A day's load over the hours in which customers may be contacted, to what the channels carry."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contact_hours import DAY_MS, Hours, Place
from pipeline.core.spread import HOUR_MS, MAX_SLOTS, NEVER, REASONS, SLOT_MS, Load, Spread, open_slots, spread

BEGIN = 1_764_000_000_000 // DAY_MS * DAY_MS
SMS, VOICE = 0, 1
SLOTS = 2 * DAY_MS // SLOT_MS
FAR = BEGIN + 30 * DAY_MS


def hours(*spans: tuple[int, int]) -> np.ndarray:
    """bool[1, slots]: open from one hour to the other of both days."""
    opened = np.zeros((1, SLOTS), dtype=np.bool_)
    for start, end in spans:
        for day in (0, 24):
            opened[0, (day + start) * 4 : (day + end) * 4] = True
    return opened


def load(*rows: dict[str, int]) -> Load:
    """Each row: what differs from a reminder of one customer, three days overdue, by SMS, at any time."""
    plain = {
        "place": 0,
        "channel": SMS,
        "rank": 1,
        "days_past_due": 3,
        "amount": 100,
        "from_ms": BEGIN,
        "until_ms": FAR,
    }
    full = [{"customer": number, **plain, **row} for number, row in enumerate(rows)]
    return Load(*(np.array([row[name] for row in full], dtype=np.int64) for name in Load._fields))


def at(found: Spread) -> list[float]:
    """Hours after the beginning; None-like -1 for never."""
    return [NEVER if ms == NEVER else (ms - BEGIN) / HOUR_MS for ms in found.moment_ms.tolist()]


def reasons(found: Spread) -> list[str]:
    return [REASONS[number] for number in found.reason.tolist()]


def test_a_load_within_capacity_begins_when_the_day_opens() -> None:
    found = spread(load({}, {}, {}), hours((9, 20)), {SMS: 12}, BEGIN)
    assert sorted(at(found)) == pytest.approx([9.0, 9.0 + 1 / 12, 9.0 + 2 / 12]), "evenly over the quarter of an hour"
    assert reasons(found) == ["", "", ""]


def test_nobody_begins_before_their_own_moment() -> None:
    found = spread(load({"from_ms": BEGIN + 10 * HOUR_MS + 7}), hours((9, 20)), {SMS: 12}, BEGIN)
    assert found.moment_ms.tolist() == [BEGIN + 10 * HOUR_MS + 7]


def test_more_than_the_channel_carries_waits_for_the_next_hours_and_says_so() -> None:
    found = spread(load(*[{"amount": 100 - n} for n in range(6)]), hours((9, 11)), {SMS: 2}, BEGIN)
    assert [int(hour) for hour in at(found)] == [9, 9, 10, 10, 24 + 9, 24 + 9]
    assert reasons(found) == ["", *["capacity"] * 5]


def test_who_finds_no_slot_at_all_is_told_so() -> None:
    found = spread(load({}, {}), hours((9, 10))[:, :40], {SMS: 1}, BEGIN)
    assert at(found) == [9.0, NEVER]
    assert reasons(found)[1] == "capacity"
    closed = spread(load({"until_ms": BEGIN + 8 * HOUR_MS}), hours((9, 20)), {}, BEGIN)
    assert (at(closed), reasons(closed)) == ([NEVER], ["hours"])


def test_collection_goes_before_reminders_then_days_then_amounts() -> None:
    rows = [
        {"rank": 1, "days_past_due": 2, "amount": 900},
        {"rank": 0, "days_past_due": 5, "amount": 1},
        {"rank": 1, "days_past_due": 3, "amount": 1},
        {"rank": 0, "days_past_due": 40, "amount": 1},
        {"rank": 0, "days_past_due": 5, "amount": 2},
    ]
    found = spread(load(*rows), hours((9, 20)), {SMS: 4}, BEGIN)
    assert np.argsort(found.moment_ms).tolist() == [3, 4, 1, 2, 0]


def test_equals_go_by_the_customer_s_number_whatever_order_they_stand_in() -> None:
    one = spread(load({"customer": 7}, {"customer": 3}), hours((9, 20)), {SMS: 4}, BEGIN)
    other = spread(load({"customer": 3}, {"customer": 7}), hours((9, 20)), {SMS: 4}, BEGIN)
    assert one.moment_ms.tolist() == other.moment_ms.tolist()[::-1]
    assert one.moment_ms[1] < one.moment_ms[0]


def test_each_channel_has_a_capacity_of_its_own_and_one_without_carries_all() -> None:
    rows = [{"channel": VOICE}] * 3 + [{"channel": SMS}] * 3
    found = spread(load(*rows), hours((9, 20)), {VOICE: 1}, BEGIN)
    assert [int(hour) for hour in at(found)] == [9, 10, 11, 9, 9, 9]


def test_the_accounts_of_one_customer_begin_together_as_one() -> None:
    rows = [
        {"customer": 1, "rank": 1, "from_ms": BEGIN + 10 * HOUR_MS},
        {"customer": 2, "rank": 0, "days_past_due": 10},
        {"customer": 1, "rank": 0, "days_past_due": 60},
    ]
    found = spread(load(*rows), hours((9, 20)), {SMS: 4}, BEGIN)
    assert found.moment_ms[0] == found.moment_ms[2] == BEGIN + 10 * HOUR_MS, "when both may be told"
    alone = spread(load(*rows), hours((9, 20)), {SMS: 1}, BEGIN)
    assert [int(hour) for hour in at(alone)] == [10, 9, 10], "two accounts, one of the capacity"


def test_accounts_of_one_customer_that_no_moment_suits_begin_apart() -> None:
    rows = [
        {"customer": 1, "until_ms": BEGIN + 10 * HOUR_MS},
        {"customer": 1, "from_ms": BEGIN + 12 * HOUR_MS},
    ]
    found = spread(load(*rows), hours((9, 20)), {}, BEGIN)
    assert at(found) == [9.0, 12.0]


def test_hours_are_the_customer_s_own_where_they_differ() -> None:
    shanghai, london = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/London")
    places = [([Hours(9 * 60, 20 * 60)], Place((zone,), (), lambda name, day: None)) for zone in (shanghai, london)]
    opened = open_slots(places, BEGIN, SLOTS)
    assert opened.shape == (2, SLOTS)
    found = spread(load({"place": 0}, {"place": 1}), opened, {}, BEGIN)
    assert at(found) == [1.0, 9.0], "09:00 in Shanghai is 01:00 in London in winter"


def test_a_slot_that_closes_half_way_is_closed() -> None:
    place = Place((ZoneInfo("UTC"),), (), lambda name, day: None)
    opened = open_slots([([Hours(9 * 60 + 5, 10 * 60 - 5)], place)], BEGIN, 48)
    assert np.flatnonzero(opened[0]).tolist() == [37, 38]


def test_there_is_a_limit_to_how_far_a_load_is_spread() -> None:
    with pytest.raises(ValueError, match="at most"):
        spread(load({}), np.ones((1, MAX_SLOTS + 1), dtype=np.bool_), {}, BEGIN)


def test_an_empty_load_is_spread_too() -> None:
    nothing = Load(*(np.zeros(0, dtype=np.int64) for _ in Load._fields))
    assert len(spread(nothing, hours((9, 20)), {SMS: 1}, BEGIN).moment_ms) == 0


ROWS = st.fixed_dictionaries({
    "customer": st.integers(0, 12),
    "place": st.integers(0, 1),
    "channel": st.integers(0, 1),
    "rank": st.integers(0, 1),
    "days_past_due": st.integers(-7, 100),
    "amount": st.integers(0, 1000),
    "from_ms": st.integers(0, 47).map(lambda hour: BEGIN + hour * HOUR_MS // 2),
    "until_ms": st.integers(1, 60).map(lambda hour: BEGIN + hour * HOUR_MS),
})  # fmt: skip


def one_by_one(each: Load, opened: np.ndarray, per_hour: dict[int, int]) -> list[tuple[int, str]]:
    """The same said plainly: everybody, the most urgent first, takes their first slot that is not full. Slot and reason."""
    rows = list(zip(*(column.tolist() for column in each), strict=True))
    order = sorted(range(len(rows)), key=lambda row: (rows[row][3], -rows[row][4], -rows[row][5], rows[row][0], row))
    together: dict[int, list[int]] = {}
    for row in order:
        together.setdefault(rows[row][0], []).append(row)
    groups = []
    for members in together.values():
        from_ms, until_ms = max(rows[row][6] for row in members), min(rows[row][7] for row in members)
        groups += [members] if from_ms < until_ms else [[row] for row in members]
    groups.sort(key=lambda members: order.index(members[0]))
    used: dict[tuple[int, int], int] = {}
    found: list[tuple[int, str]] = [(NEVER, "")] * len(rows)
    for members in groups:
        _, place, channel, *_ = rows[members[0]]
        from_ms, until_ms = max(rows[row][6] for row in members), min(rows[row][7] for row in members)
        may = [
            slot
            for slot in range(opened.shape[1])
            if opened[place, slot] and from_ms < BEGIN + (slot + 1) * SLOT_MS and until_ms > BEGIN + slot * SLOT_MS
        ]
        free = [
            slot
            for slot in may
            if channel not in per_hour or used.get((channel, slot), 0) < quarter(per_hour[channel], slot)
        ]
        if free:
            used[channel, free[0]] = used.get((channel, free[0]), 0) + 1
        slot, reason = (
            (free[0], "" if free[0] == may[0] else "capacity") if free else (NEVER, "capacity" if may else "hours")
        )
        for row in members:
            found[row] = (slot, reason)
    return found


def quarter(per_hour: int, slot: int) -> int:
    return sum(call * 4 // per_hour == slot % 4 for call in range(per_hour))


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, max_size=30), st.integers(1, 9), st.data())
def test_it_is_as_if_everybody_took_their_first_free_slot_by_urgency(
    rows: list[dict[str, int]], capacity: int, data: st.DataObject
) -> None:
    opened = np.zeros((2, SLOTS), dtype=np.bool_)
    for place in (0, 1):
        opened[place, data.draw(st.lists(st.integers(0, SLOTS - 1), max_size=8))] = True
    each, per_hour = load(*rows), {SMS: capacity}
    found = spread(each, opened, per_hour, BEGIN)
    slots = [NEVER if ms == NEVER else (ms - BEGIN) // SLOT_MS for ms in found.moment_ms.tolist()]
    assert list(zip(slots, reasons(found), strict=True)) == one_by_one(each, opened, per_hour)
    begun = found.moment_ms != NEVER
    assert (found.moment_ms >= each.from_ms)[begun].all()
    assert (found.moment_ms < each.until_ms)[begun].all()
