"""What the bank's own counters say, against a recount of all transactions: exactly those of the window's buckets, so the
whole window and at most one bucket more; in both forms of advancing a row."""

import math

import numpy as np
import pytest
from card_events import NOON, event, purchase
from counter_lives import CARD, answer, both, counters, live, window
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.advancing import COMPILED, advance_in_python, advance_part
from pipeline.core.columns import TRANSACTION_SCHEMA, field_column
from pipeline.core.counter_slots import LARGEST, MOST, SMALLEST, pack, unpack
from pipeline.core.counters import Counters, Counting, parse_counter
from pipeline.core.features import FEATURES
from pipeline.core.profile_row import MAX_ROW_BYTES, ROW_BYTES, VERSION
from pipeline.core.rules import compile_rule

SIZES = {"declined_online": (600, 120), "spent_abroad": (86_400, 21_600), "largest": (604_800, 151_200), "shops": (3_600, 1_200)}  # fmt: skip
GAPS = st.one_of(
    st.sampled_from([0.0, 0.25, 60.0, 119.0, 120.0, 121.0, 600.0, 1_200.0, 21_600.0, 86_400.0, 700_000.0]),
    st.floats(0, 90_000, width=32),
    st.floats(-90_000, 0, width=32),  # out of order
)


@st.composite
def lives(draw: st.DrawFn):
    """Attempts, repeats apart: (gap to the one before, amount, fields)."""
    at, events = NOON, []
    for _ in range(draw(st.integers(1, 14))):
        at += draw(GAPS)
        events.append(
            event(
                at,
                draw(st.integers(0, 500_000)),
                merchant=draw(st.sampled_from([None, "", "m1", "m2", "m3"])),
                entry_mode=draw(st.sampled_from(["ecommerce", "chip", None])),
                response_code=draw(st.sampled_from(["00", "05", None])),
                country=draw(st.sampled_from(["CN", "US", None])),
                home_country=draw(st.sampled_from(["CN", None])),
            )
        )
    return events


def counts_for(name: str, one) -> bool:
    it = one.transaction
    return {
        "declined_online": it.entry_mode == "ecommerce" and it.response_code not in (None, "00"),
        "spent_abroad": None not in (it.country, it.home_country) and it.country != it.home_country,
        "largest": one.amount > 1_000,
        "shops": bool(it.merchant),
    }[name]


@settings(max_examples=150, deadline=None)
@given(lives())
def test_each_value_is_that_of_the_buckets_and_holds_the_window(events) -> None:
    own = counters()
    made = both(own, events)
    for number, line in enumerate(made.values):
        newest = max(one.at for one in events[: number + 1])
        for counter, value in zip(own.each, line, strict=True):
            assert SIZES[counter.name] == (counter.window_s, counter.bucket_s)
            matching = [one for one in events[: number + 1] if counts_for(counter.name, one)]
            # a late one whose bucket is over is not taken up; it was outside the window when it came and still is
            exact = answer(counter, window(counter, matching, newest, longer=True))
            least = answer(counter, window(counter, matching, newest, longer=False))
            assert value == pytest.approx(exact, rel=1e-3)
            assert value >= least * (1 - 1e-3)


@settings(max_examples=40, deadline=None)
@given(lives(), st.integers(1, 13))
def test_how_many_share_a_poll_changes_nothing(events, size: int) -> None:
    own = counters()
    alone = live(own, events)
    held, lines = {}, []
    for start in range(0, len(events), size):
        part = events[start : start + size]
        values = np.full((len(part), len(own.names)), -7.0)
        found: list = []
        own_part = Counting(own, own.matches(part), values)
        matrix = np.empty((len(part), len(FEATURES)))
        advance_part(held, {}, [(None, one, CARD) for one in part], found, matrix, own_part)  # type: ignore[misc]
        lines.append(values[: len(found)])
    assert held[CARD] == alone.rows[-1]
    assert np.array_equal(np.concatenate(lines), alone.values, equal_nan=True)


def test_a_row_is_as_long_as_ever() -> None:
    row = both(counters(), [purchase(NOON)]).rows[-1]
    assert (len(row), row[0]) == (ROW_BYTES, VERSION) == (452, 1)
    assert len(row) <= MAX_ROW_BYTES


def test_a_transaction_leaves_the_window_at_a_bucket_s_end_and_not_before() -> None:
    own = counters(online="count per card over 10m where entry_mode = 'ecommerce'")
    start = math.floor(NOON / 120) * 120.0
    first = event(start + 119.75, entry_mode="ecommerce")
    for later, expected in ((600.0, 1.0), (719.75, 0.0), (600.25, 0.0)):
        chip = event(start + 119.75 + later, entry_mode="chip")
        # after 600 s it is in the bucket before the window's five, kept whole; a quarter later that bucket is over
        assert both(own, [first, chip]).values[-1, 0] == expected


def test_a_late_one_counts_in_its_own_bucket_or_not_at_all() -> None:
    own = counters(every="count per card over 10m")
    start = math.floor(NOON / 120) * 120.0
    values = both(own, [event(start + at) for at in (700, 650, 100, 99, -1)]).values[:, 0]
    assert values.tolist() == [1, 2, 3, 4, 4]
    assert both(own, [event(start + at) for at in (700, -1, 720)]).values[:, 0].tolist() == [1, 1, 2]


def test_a_repeat_counts_once() -> None:
    own = counters(every="count per card over 10m")
    first = event(NOON, id="one")
    made = both(own, [first, event(NOON + 1, id="one"), event(NOON + 2)])
    assert made.values[:, 0].tolist() == [1, 2]
    assert made.rows[0] == made.rows[1]


@pytest.mark.parametrize("kind", ["refund", "payment"])
def test_a_credit_does_not_count_and_has_no_values(kind: str) -> None:
    own = counters(every="count per card over 10m")
    values = both(own, [event(NOON), event(NOON + 1, kind=kind), event(NOON + 2)]).values[:, 0]
    assert values[[0, 2]].tolist() == [1, 2]
    assert math.isnan(values[1])


OWN = {
    "every": "count per card over 10m",
    "spent": "sum(amount) per card over 24h",
    "largest": "max(amount) per card over 24h",
    "shops": "distinct(merchant) per card over 24h",
}


def test_a_whole_reversal_takes_back_the_count_and_the_sum() -> None:
    events = [
        event(NOON, 70_000, merchant="a"),
        event(NOON + 1, 1_234_567, id="o", merchant="b"),
        event(NOON + 2, type="reversal", original_id="o", amount=0),
        event(NOON + 3, type="reversal", original_id="o", amount=0),
        event(NOON + 4, 30_000, merchant="a"),
    ]
    last = both(counters(**OWN), events).values[-1]
    assert last[0] == 2
    assert last[1] == pytest.approx(100_000, rel=1e-4)
    assert last[2] == pytest.approx(1_234_567, rel=1e-4)  # of a maximum and of what is distinct nothing is taken back
    assert last[3] == 2


def test_a_partial_reversal_takes_back_its_amount_only() -> None:
    back = event(NOON + 2, 400_000, type="reversal", original_id="o")
    events = [event(NOON + 1, 1_000_000, id="o"), back, event(NOON + 4, 1)]
    last = both(counters(**OWN), events).values[-1]
    assert last[0] == 2
    assert last[1] == pytest.approx(600_001, rel=1e-4)


def test_nothing_is_left_of_a_sum_taken_back() -> None:
    events = []
    for number in range(60):
        events.append(event(NOON + number, 133_333_333 + number * 77_777, id=f"o{number}"))
        events.append(event(NOON + number, 0, type="reversal", original_id=f"o{number}"))
    assert both(counters(**OWN), [*events, event(NOON + 99, 0)]).values[-1, 1] == 0.0


def test_a_reversal_of_what_did_not_match_takes_nothing() -> None:
    own = counters(online="count per card over 10m where entry_mode = 'ecommerce'")
    events = [
        event(NOON, entry_mode="ecommerce"),
        event(NOON + 1, id="o", entry_mode="chip"),
        event(NOON + 2, 0, type="reversal", original_id="o"),
        event(NOON + 3),
    ]
    assert both(own, events).values[-1, 0] == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["pay", "back", "part", "refund"]), GAPS, st.integers(0, 9)), max_size=25))
def test_both_forms_agree_whatever_is_taken_back(steps) -> None:
    at, events, own = NOON, [], counters(**OWN)
    for number, (what, gap, which) in enumerate(steps):
        at += gap
        original = f"p{max(number - which, 0)}"
        if what == "pay":
            events.append(
                event(at, 1_000 * which, id=f"p{number}", merchant=f"m{which}", country="US", home_country="CN")
            )
        elif what == "refund":
            events.append(event(at, 5, id=f"p{number}", kind="refund"))
        else:
            amount = 0 if what == "back" else 300 * which
            events.append(event(at, amount, id=f"p{number}", type="reversal", original_id=original))
    both(own, events)


def test_a_count_of_very_many_stays_at_what_its_cell_holds() -> None:
    own = counters(every="count per card over 10m")
    values = both(own, [event(NOON) for _ in range(MOST + 5)]).values[:, 0]
    assert values[-1] == values[-2] == MOST


@pytest.mark.parametrize("different", [1, 2, 3, 5, 8, 12])
def test_distinct_is_right_to_about_a_fifth(different: int) -> None:
    own = counters(shops="distinct(merchant) per card over 1h")
    errors = []
    for trial in range(40):
        names = [f"shop-{trial}-{number % different}" for number in range(3 * different)]
        value = both(own, [purchase(NOON, merchant=name) for name in names]).values[-1, 0]
        errors.append(abs(value - different) / different)
    assert np.mean(errors) < 0.2
    assert different > 1 or max(errors) == 0


@given(st.floats(0, 1e18))
def test_a_cell_s_number_is_close_and_grows_with_what_it_holds(number: float) -> None:
    kept = unpack(pack(number))
    if number < SMALLEST:
        assert kept == 0.0
    elif number > unpack(LARGEST):
        assert kept == unpack(LARGEST) > 3.6e16
    else:
        assert kept == pytest.approx(number, rel=2**-17)
    assert pack(kept) == pack(number)


def test_what_is_remembered_of_conditions_is_limited_and_stays_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.counter_matching.MAX_REMEMBERED", 3)
    own = counters(some="count per card over 10m where mcc = '0003' or mcc is null")
    kinds = [event(NOON, mcc=mcc) for mcc in ("0001", "0003", "0002", None, "0004", "0003", "0005", None, "0001")]
    for size in (1, 2, 5, 9):
        parts = [own.matches(kinds[start : start + size]).matched for start in range(0, 9, size)]
        assert list(b"".join(parts)) == [0, 1, 0, 1, 0, 1, 0, 1, 0]


PARTS = [
    "amount > 2", "entry_mode = 'chip'", "country <> home_country", "merchant = 'm1' or mcc = '0001'", "mcc is null",
    "(amount < 7 and entry_mode <> 'chip')", "not (mcc = '0001')", "available_credit / amount > 1", "recurring", "true",
]  # fmt: skip
some = st.builds(
    lambda **fields: event(NOON, **{name: value for name, value in fields.items() if value is not None}),
    amount=st.sampled_from([0, 1, 3, 8]), entry_mode=st.sampled_from([None, "chip", "manual"]),
    country=st.sampled_from([None, "CN", "US"]), home_country=st.sampled_from([None, "CN"]),
    merchant=st.sampled_from([None, "m1", "m2"]), mcc=st.sampled_from([None, "0001", "0002"]),
    available_credit=st.sampled_from([None, 2, -5]), recurring=st.sampled_from([None, True, False]),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PARTS), max_size=4), min_size=1, max_size=5),
    st.lists(some, min_size=1, max_size=9),
)
def test_what_counts_is_what_the_whole_condition_says(conditions, events) -> None:
    texts = [" and ".join(parts) for parts in conditions]
    own = Counters(
        [
            parse_counter(f"c{at}", "count per card over 1h" + (f" where {text}" if text else ""))
            for at, text in enumerate(texts)
        ]
    )
    for given_events in (events, *([one] for one in events)):
        n, matched = len(given_events), own.matches(given_events).matched
        for bit, text in enumerate(texts):
            rule = compile_rule(text or "true", TRANSACTION_SCHEMA)
            hits = rule.hits({name: field_column(given_events, name) for name in rule.columns}, n)
            assert [bool(mask >> bit & 1) for mask in matched] == hits.tolist()


@pytest.mark.parametrize("form", [advance_part, advance_in_python])
@pytest.mark.parametrize(("events", "columns"), [(1, 1), (0, 4), (3, 4)])
def test_matches_and_values_of_other_events_or_counters_are_an_error(form, events: int, columns: int) -> None:
    own, one = counters(), purchase(NOON)
    counting = Counting(own, own.matches([one] * events), np.empty((1, columns)))
    held: dict[bytes, bytes] = {}
    if (form is advance_in_python or not COMPILED) and events == 3:
        return  # the reference takes what it needs; only the form that reads memory has to look first
    with pytest.raises((ValueError, IndexError)):
        form(held, {}, [(None, one, CARD)], [], np.empty((1, len(FEATURES))), counting)
    assert not held


def test_without_counters_nothing_is_kept() -> None:
    before = both(counters(), [purchase(NOON)]).rows[-1]
    after = both(Counters(), [purchase(NOON + 1)], before).rows[-1]
    assert not any(after[244:308])
