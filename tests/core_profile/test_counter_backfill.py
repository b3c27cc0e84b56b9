"""A row backfilled from the card's past has the counters it would have had, and nothing else changed."""

import pytest
from card_events import DAY, NOON, event, purchase
from counter_lives import both, counters
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.counter_backfill import PastMissing, backfilled, history_s
from pipeline.core.counters import Counters
from pipeline.core.profile_row import RING, SPARE

OWN = {
    "every": "count per card over 10m",
    "spent": "sum(amount) per card over 2d where entry_mode = 'chip'",
    "shops": "distinct(merchant) per card over 1h",
}


def past_of(events):
    return [(None, one) for one in events]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-3_000, 40_000, width=16), st.sampled_from(["pay", "pay", "back", "refund"])), min_size=1, max_size=30))  # fmt: skip
def test_a_row_is_as_if_the_counters_had_always_been_there(steps) -> None:
    at, events = NOON - 40 * DAY, [purchase(NOON - 41 * DAY)]
    for number, (gap, what) in enumerate(steps):
        at += gap
        if what == "pay":
            events.append(purchase(at, 10 * number, id=f"p{number}", merchant=f"m{number % 5}"))
        elif what == "back":
            events.append(event(at, 0, id=f"p{number}", type="reversal", original_id=f"p{number - 1}"))
        else:
            events.append(event(at, 3, id=f"p{number}", kind="refund"))
    own = counters(**OWN)
    always = both(own, events).rows[-1]
    plain = both(Counters(), events).rows[-1]
    assert backfilled(plain, past_of(events), own) == always


def test_all_but_the_counters_stays() -> None:
    events = [purchase(NOON + number) for number in range(12)]
    own = counters(**OWN)
    plain = both(Counters(), events).rows[-1]
    filled = backfilled(plain, past_of(events[4:]), own)
    assert filled[:SPARE] + filled[RING:] == plain[:SPARE] + plain[RING:]
    assert both(own, [purchase(NOON + 20)], filled).values[0, 0] == 9


@pytest.mark.parametrize("cut", [slice(0, 11), slice(0, 0)])
def test_a_past_that_ends_elsewhere_is_refused(cut: slice) -> None:
    events = [purchase(NOON + number) for number in range(12)]
    plain = both(Counters(), events).rows[-1]
    with pytest.raises(PastMissing, match="do not end where the card's row does"):
        backfilled(plain, past_of(events[cut]), counters(**OWN))
    with pytest.raises(PastMissing):
        backfilled(plain, past_of([*events, purchase(NOON + 12)]), counters(**OWN))


def test_how_much_past_is_needed() -> None:
    assert history_s(counters(**OWN)) == 2 * DAY + DAY / 2
    assert history_s(Counters()) == 0.0
