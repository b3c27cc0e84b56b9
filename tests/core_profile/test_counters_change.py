"""When the bank changes its counters: what stays keeps all it counted, what is new has no value until its window has
passed, what went and came back begins again; and no order of policies makes a wrong value."""

import math

import numpy as np
import pytest
from card_events import DAY, NOON, event, purchase, regular
from counter_lives import answer, both, counters, live, window
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.counter_slots import SLOTS
from pipeline.core.counters import Counters
from pipeline.core.profile_row import RING, SPARE

MANY = {
    "a": "count per card over 10m",
    "b": "sum(amount) per card over 1h",
    "c": "distinct(merchant) per card over 1h",
    "d": "max(amount) per card over 2h where amount > 50",
    "e": "count per card over 30m where entry_mode = 'ecommerce'",
    "f": "count per card over 10m where entry_mode = 'chip'",
}


def test_a_new_counter_on_a_known_card_has_no_value_until_its_window_has_passed() -> None:
    own = counters(every="count per card over 10m")
    events = [purchase(NOON + 60.0 * minute) for minute in range(1, 20)]
    values = both(own, events, regular()).values[:, 0]
    known = [not math.isnan(value) for value in values]
    first = known.index(True)
    assert 10 < first + 1 <= 10 + 2 + 1  # the window, and at most a bucket more
    assert all(known[first:])
    assert 10 <= values[first] <= 12


def test_on_a_new_card_it_has_a_value_at_once() -> None:
    own = counters(every="count per card over 10m")
    assert both(own, [purchase(NOON)]).values.tolist() == [[1.0]]


def test_a_card_known_by_a_reversal_only_is_a_new_card() -> None:
    own = counters(every="count per card over 10m")
    values = both(own, [event(NOON, 0, type="reversal", original_id="x"), purchase(NOON + 1)]).values
    assert values[1, 0] == 1.0


def test_a_counter_that_stays_keeps_what_it_counted_wherever_it_lies_then() -> None:
    events = [purchase(NOON + minute * 60, 1_000, id=f"x{minute}") for minute in range(5)]
    row = both(counters(b=MANY["b"], a=MANY["a"]), events).rows[-1]
    moved = counters(e=MANY["e"], a=MANY["a"], c=MANY["c"], b=MANY["b"])
    back = event(NOON + 270, 0, type="reversal", original_id="x4")
    values = both(moved, [purchase(NOON + 260, 1_000), back, purchase(NOON + 280, 1_000)], row).values
    assert np.isnan(values[0, [0, 2]]).all()
    assert values[0, 1] == 6
    assert values[0, 3] == pytest.approx(6_000, rel=1e-4)
    assert values[2, 1] == 6  # what was counted under the other policy is taken back under this one
    assert values[2, 3] == pytest.approx(6_000, rel=1e-4)


def test_another_name_and_other_blanks_are_the_same_counter() -> None:
    row = both(counters(old="count per card over 60m where entry_mode = 'chip'"), [purchase(NOON)]).rows[-1]
    renamed = counters(new="COUNT per card  over 1h where ENTRY_MODE\n = 'chip'")
    assert both(renamed, [purchase(NOON + 1)], row).values.tolist() == [[2.0]]


@pytest.mark.parametrize(
    "text",
    [
        "count per card over 11m where entry_mode = 'chip'",
        "count per card over 10m where entry_mode = 'CHIP'",
        "count per card over 10m",
        "sum(amount) per card over 10m where entry_mode = 'chip'",
    ],
)
def test_another_definition_under_the_same_name_begins_again(text: str) -> None:
    row = both(counters(one="count per card over 10m where entry_mode = 'chip'"), [purchase(NOON)]).rows[-1]
    assert math.isnan(both(counters(one=text), [purchase(NOON + 1)], row).values[0, 0])


def test_a_counter_that_was_away_for_a_transaction_begins_again() -> None:
    own = counters(every="count per card over 10m")
    row = both(own, [purchase(NOON), purchase(NOON + 1)]).rows[-1]
    for meanwhile in (Counters(), counters(other="count per card over 30m")):
        missed = both(meanwhile, [purchase(NOON + 2)], row).rows[-1]
        assert math.isnan(both(own, [purchase(NOON + 3)], missed).values[0, 0])
    assert both(own, [purchase(NOON + 3)], row).values[0, 0] == 3


def test_the_last_counter_away_for_a_transaction_begins_again_too() -> None:
    two, one = counters(a=MANY["a"], b=MANY["b"]), counters(a=MANY["a"])
    row = both(two, [purchase(NOON)]).rows[-1]
    missed = both(one, [purchase(NOON + 1)], row).rows[-1]
    values = both(two, [purchase(NOON + 2)], missed).values[0]
    assert values[0] == 3
    assert math.isnan(values[1])


def test_a_removed_counter_leaves_nothing_behind() -> None:
    row = both(counters(**dict(list(MANY.items())[:3])), [purchase(NOON)]).rows[-1]
    fresh = both(counters(f=MANY["f"]), [purchase(NOON)]).rows[-1]
    one = both(counters(f=MANY["f"]), [purchase(NOON + 1)], row).rows[-1]
    assert one[SPARE + 8 : SPARE + 56] == fresh[SPARE + 8 : SPARE + 56] == bytes(48)
    gone = both(Counters(), [purchase(NOON + 2)], one).rows[-1]
    assert gone[SPARE:RING] == bytes(64)


SETS = st.lists(st.sampled_from(sorted(MANY)), unique=True, max_size=5).filter(
    lambda names: counters_slots(names) <= SLOTS
)


def counters_slots(names: list[str]) -> int:
    return sum(1 if MANY[name].startswith("count") else 2 for name in names)


def of(names: list[str]) -> Counters:
    return counters(**{name: MANY[name] for name in names}) if names else Counters()


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(SETS, st.integers(1, 4)), min_size=1, max_size=6),
    st.lists(st.floats(-900, 3_000, width=16), min_size=24, max_size=24),
)
def test_whatever_policies_a_card_has_met_a_value_is_right_or_missing(changes, gaps) -> None:
    events, at = [], NOON
    for number, gap in enumerate(gaps):
        at += gap
        mode = "chip" if number % 2 else "ecommerce"
        events.append(event(at, 10 * number, merchant=f"m{number % 3 + 1}", entry_mode=mode))
    row, done = None, 0
    for names, count in changes:
        own = of(names)
        made = both(own, events[done : done + count], row)
        for number, line in enumerate(made.values):
            past = events[: done + number + 1]
            newest = max(one.at for one in past)
            for counter, value in zip(own.each, line, strict=True):
                if math.isnan(value):
                    continue
                matching = [one for one in past if matches(counter.name, one)]
                assert value == pytest.approx(answer(counter, window(counter, matching, newest, True)), rel=1e-3)
        row, done = made.rows[-1], done + count


def matches(name: str, one) -> bool:
    mode = one.transaction.entry_mode
    return {"d": one.amount > 50, "e": mode == "ecommerce", "f": mode == "chip"}.get(name, True)


@settings(max_examples=60, deadline=None)
@given(SETS, st.binary(min_size=64, max_size=64), st.booleans(), st.lists(st.floats(-900, 9_000, width=16), min_size=1, max_size=4))  # fmt: skip
def test_both_forms_make_the_same_of_any_bytes(names, found: bytes, tagged: bool, gaps) -> None:
    own, spare, at = of(names), bytearray(found), NOON + 60
    for slot in own.slots if tagged else ():
        spare[slot.place * 8 : slot.place * 8 + 2] = slot.tag.to_bytes(2, "little")
    row = regular()
    events = [event(NOON + 30, 0, type="reversal", original_id="last")]
    for number, gap in enumerate(gaps):
        at += gap
        events.append(purchase(at, 77 * number, id="last" if number == 1 else f"n{number}", entry_mode="ecommerce"))
        events.append(event(at, 5 * number, type="reversal", original_id="last"))
    both(own, events, row[:SPARE] + bytes(spare) + row[RING:])


def test_replay_with_the_same_definitions_makes_the_same_row() -> None:
    events = [purchase(NOON + 777 * number, 100 * number, merchant=f"m{number % 4}") for number in range(40)]
    own = of(["c", "a", "b", "e"])
    whole = live(own, events).rows[-1]
    half = live(own, events[:17]).rows[-1]
    assert live(of(["c", "a", "b", "e"]), events[17:], half).rows[-1] == whole


def test_a_month_apart_all_is_known_and_nothing_is_left() -> None:
    own = of(["a", "b", "c", "e"])
    values = both(own, [purchase(NOON + 1), purchase(NOON + 30 * DAY)], regular()).values
    assert np.isnan(values[0]).all()
    assert values[1].tolist() == [1.0, pytest.approx(10_000, rel=1e-4), 1.0, 0.0]
