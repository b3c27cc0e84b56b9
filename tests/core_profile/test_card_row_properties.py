"""What holds for any history of any card."""

import math
from typing import Any

import numpy as np
from card_events import NOON, event, walk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core import profile_row as layout
from pipeline.core.features import FEATURES, MODEL_FEATURES, UNIT
from pipeline.core.profile import EMPTY_ROW, Handling, advance
from pipeline.core.profile_row import ROW_BYTES, check_row
from pipeline.core.transaction import MAX_AMOUNT, Event

TIMES = st.one_of(
    st.floats(NOON - 1e6, NOON + 1e6), st.integers(-62_135_596_800, 253_402_300_799).map(float), st.just(NOON)
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def transactions(draw: st.DrawFn) -> Event:
    return event(
        draw(TIMES),
        draw(st.one_of(st.just(0.0), st.floats(0, 1e5), st.floats(0, MAX_AMOUNT * 1e9))),
        id=draw(st.sampled_from("abcdefghijkl") | st.text(min_size=1, max_size=5)),
        type=draw(st.sampled_from(["authorisation", "authorisation", "advice", "reversal", "clearing"])),
        original_id=draw(optional(st.sampled_from("abcdefghijkl"))),
        kind=draw(optional(st.sampled_from(["purchase", "cash", "refund", "transfer", "payment", "verification"]))),
        entry_mode=draw(
            optional(st.sampled_from(["chip", "contactless", "magstripe", "manual", "ecommerce", "stored"]))
        ),
        merchant=draw(optional(st.text(max_size=3))),
        mcc=draw(optional(st.sampled_from(["0000", "5411", "6011", "9999"]))),
        country=draw(optional(st.sampled_from(["CN", "NC", "FR", "US", "DE", "IT", "ES", "PT", "SE"]))),
        home_country=draw(optional(st.sampled_from(["CN", "US"]))),
        latitude=draw(optional(st.floats(-90, 90))),
        longitude=draw(optional(st.floats(-180, 180))),
        response_code=draw(optional(st.sampled_from(["00", "05", ""]))),
    )


_slow_start = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_slow_start
@given(st.lists(transactions(), max_size=20))
def test_any_history_leaves_a_readable_row_and_finite_or_missing_features(history: list[Event]) -> None:
    row = EMPTY_ROW
    for one in history:
        before = row
        row, features, handling = advance(row, one)
        assert len(row) == ROW_BYTES
        check_row(row)
        assert row[layout.SPARE : layout.RING] == EMPTY_ROW[layout.SPARE : layout.RING]
        if handling == Handling.repeat:
            assert row is before
            continue
        assert features is not None
        assert len(features) == len(FEATURES)
        for feature, value in zip(FEATURES, features, strict=True):
            assert not math.isinf(value), feature.name
            assert feature.name == "amount_z" or not value < 0, feature.name
        assert advance(row, one) == (row, None, Handling.repeat)
        unit = UNIT.unit(np.array([features]))
        assert unit.shape == (1, len(MODEL_FEATURES))
        assert bool(((unit >= 0) & (unit <= 1)).all())


@_slow_start
@given(
    st.lists(
        st.tuples(st.floats(0, 5e5), st.integers(0, 10**6), st.booleans(), st.booleans()), min_size=2, max_size=12
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_changes_counters_by_rounding_only(
    drawn: list[tuple[float, int, bool, bool]], random: Any
) -> None:
    events = [
        event(
            NOON + after, float(amount), kind="cash" if cash else "purchase", response_code="05" if declined else "00"
        )
        for after, amount, cash, declined in drawn
    ]
    shuffled = events[:]
    random.shuffle(shuffled)
    one, other = (layout.NUMBERS.unpack_from(walk(EMPTY_ROW, order)) for order in (events, shuffled))
    assert one[: layout.COUNTS] == other[: layout.COUNTS]  # version, counts, first and newest time: to the bit
    for a, b in zip(one[layout.COUNTS : layout.CASH + 2], other[layout.COUNTS : layout.CASH + 2], strict=True):
        # below 1e-30 a 32-bit float has no digits left; nothing there is ever seen
        assert math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-30)
