"""What became of a customer: kept whatever the order, said as of a moment, refused where it makes no sense."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.customer_history import (
    DAY_S,
    EMPTY,
    HOUR_S,
    KEPT_S,
    KINDS,
    NAMES,
    BadEvent,
    Event,
    event_of,
    observe,
    pack,
    unpack,
    values,
)  # fmt: skip
from pipeline.core.records import CustomerEvent
from pipeline.core.told import MAX_ROW_BYTES

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def said(type_: str, time: str = "2026-01-01T12:00:00Z", **more: Any) -> CustomerEvent:
    return CustomerEvent(customer="c", type=type_, time=time, **more)


def row_of(*events: CustomerEvent) -> bytes:
    row = EMPTY
    for one in events:
        event = event_of(one, NOON)
        assert event is not None
        row = observe(row, event)
    return row


def seen(row: bytes, now: float, country: str | None = "FR") -> dict[str, float]:
    """What is not missing."""
    return {
        name: value
        for name, value in zip(NAMES, values(unpack(row), now, country), strict=True)
        if not math.isnan(value)
    }


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("phone_changed", "hours_since_contact_changed"),
        ("email_changed", "hours_since_contact_changed"),
        ("address_changed", "hours_since_contact_changed"),
        ("sim_swapped", "hours_since_sim_swap"),
        ("device_added", "hours_since_device_added"),
        ("pin_changed", "hours_since_pin_changed"),
    ],
)
def test_hours_since_the_newest_of_a_kind_as_of_the_transaction(type_: str, name: str) -> None:
    row = row_of(*(said(type_, f"2026-01-01T{hour}:00:00+00:00") for hour in ("12", "08", "10", "09")))
    assert seen(row, NOON + 3 * HOUR_S) == {name: 3}
    assert seen(row, NOON - HOUR_S) == {name: 1}, "the newer one had not happened"
    assert seen(row, NOON - 3 * HOUR_S) == {}
    assert seen(row, NOON + KEPT_S - 1) == {name: pytest.approx(720, abs=0.01)}
    assert seen(row, NOON + KEPT_S) == {}


def test_log_ins_that_failed_are_counted_and_crowd_nothing_out() -> None:
    fails = [said("login_failed", f"2026-01-01T11:{minute:02}:00Z") for minute in range(40)]
    row = row_of(said("sim_swapped", "2025-12-31T12:00:00Z"), *fails[:3])
    assert seen(row, NOON) == {"hours_since_sim_swap": 24, "logins_failed_24h": 3}
    assert seen(row, NOON + DAY_S)["logins_failed_24h"] == 0
    row = row_of(said("sim_swapped", "2025-12-31T12:00:00Z"), *fails)
    assert seen(row, NOON) == {"hours_since_sim_swap": 24, "logins_failed_24h": 16}


def test_a_travel_notice_says_whether_it_names_this_country_while_it_holds() -> None:
    row = row_of(
        said("travel_notice", countries=["fr", "ES"], first="2026-01-10", last="2026-01-12"),
        said("travel_notice", countries=["JP"], first="2026-01-12T00:00:00+09:00", last="2026-01-20"),
    )
    day = NOON + 9 * DAY_S  # the tenth, at noon
    told = [
        seen(row, at, country).get("travel_notice") for at in (day, day + 2 * DAY_S) for country in ("ES", "JP", None)
    ]
    assert told == [1, 0, None, 1, 1, None]
    assert [seen(row, at, "JP").get("travel_notice") for at in (day - DAY_S - 1, day - DAY_S, day + 11 * DAY_S - 1, day + 11 * DAY_S)] == [None, 0, 1, None]  # fmt: skip
    everywhere = row_of(said("travel_notice", countries=[f"A{letter}" for letter in "ABCDEFGHI"], first="2026-01-01", last="2026-01-02"))  # fmt: skip
    assert seen(everywhere, NOON, "ZA") == {"travel_notice": 1}


def test_nothing_is_said_of_other_types() -> None:
    assert event_of(said("call_forwarded", "no time"), NOON) is None


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (said("sim_swapped", "2026-01-01T12:00:00"), "time"),
        (said("sim_swapped", "yesterday"), "time"),
        (said("sim_swapped", "1969-01-01T00:00:00Z"), "time"),
        (said("sim_swapped", "2026-01-02T12:00:01Z"), "time"),
        (CustomerEvent(customer="", type="sim_swapped", time="2026-01-01T12:00:00Z"), "customer"),
        (said("travel_notice", countries=["FR"], last="2026-01-02"), "from"),
        (said("travel_notice", countries=["FR"], first="2026-01-01", last="soon"), "to"),
        (said("travel_notice", countries=["FR"], first="2026-01-02", last="2026-01-01"), "to"),
        (said("travel_notice", countries=[], first="2026-01-01", last="2026-01-02"), "countries"),
        (said("travel_notice", first="2026-01-01", last="2026-01-02"), "countries"),
        (said("travel_notice", countries=["France"], first="2026-01-01", last="2026-01-02"), "countries"),
        (said("travel_notice", countries=["ÉÉ"], first="2026-01-01", last="2026-01-02"), "countries"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(event: CustomerEvent, field: str) -> None:
    with pytest.raises(BadEvent) as refused:
        event_of(event, NOON)
    assert refused.value.field == field


seconds = st.integers(0, 2**32 - 1)
plain = st.tuples(st.integers(0, len(KINDS) - 2), seconds).map(lambda event: Event(*event))
countries = st.lists(
    st.sampled_from(["FR", "ES", "JP", "US", "CN", "DE", "GB", "IT"]), max_size=8, unique=True
)  # fmt: skip
notices = st.tuples(seconds, seconds, seconds, countries.map(tuple)).map(lambda event: Event(len(KINDS) - 1, *event))


@given(st.lists(plain | notices, max_size=60), st.randoms(use_true_random=False))
def test_the_same_events_give_the_same_row_in_whatever_order_and_however_often(events: list[Event], dice: Any) -> None:
    mixed = [*events, *events[: len(events) // 2]]
    dice.shuffle(mixed)
    row, other = EMPTY, EMPTY
    for event in events:
        row = observe(row, event)
    for event in mixed:
        other = observe(other, event)
    assert row == other == pack(unpack(row))
    assert len(row) <= MAX_ROW_BYTES
    assert set(unpack(row)) <= set(events)
    for cut in range(len(row)):
        try:
            assert len(unpack(row[:cut])) <= len(events)
        except ValueError:
            continue


@pytest.mark.parametrize(
    "row",
    [
        b"\x01",
        b"\0\0\0\0\x06",
        b"\0\0\0\0\x05",
        b"\0\0\0\0\x05" + bytes(8) + b"\x01A",
        b"\0\0\0\0\x05" + bytes(8) + b"\x01\xff\xff",
    ],
)
def test_bytes_that_are_no_row_are_refused(row: bytes) -> None:
    with pytest.raises(ValueError, match="no row"):
        unpack(row)
