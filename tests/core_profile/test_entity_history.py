"""What an entity's row says equals what a recount of all its labels says; a withdrawn label leaves no trace."""

import math
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import entity_history
from pipeline.core.entity_history import EMPTY, FADE_S, MAX_BYTES, MISSING, NAMES, REMEMBERED, observe, values, withdraw

DAY = 86_400.0
START = 1_700_000_000
Label = tuple[int, bool, float]

labels = st.tuples(st.integers(START, START + 60 * 86_400), st.booleans(), st.sampled_from([0.0, 0.25, 0.75, 1.0]))
histories = st.lists(labels, max_size=60)
short = st.lists(labels, max_size=REMEMBERED)


def told(history: list[Label]) -> bytes:
    row = EMPTY
    for label in history:
        row = observe(row, *label)
    return row


def recounted(history: list[Label], now: float) -> tuple[float, ...]:
    if not history:
        return MISSING
    code = [(t, 1 + round(e * 254) if fraud else 0) for t, fraud, e in history]
    latest_first = sorted(code, reverse=True)
    weigh = [(math.exp((t - now) / FADE_S), c, 1 - (c - 1) / 254) for t, c in code]
    unexplained = sum(w * u for w, c, u in weigh if c)
    explained = sum(w * (1 - u) for w, c, u in weigh if c)
    run = [(t, 1 - (c - 1) / 254) for t, c in takewhile(lambda each: each[1], latest_first)]
    began = [t for t, u in run if u > 0.5]
    since = len(list(takewhile(lambda each: not each[1], latest_first)))
    return (
        unexplained,
        explained,
        (unexplained + explained + 0.005) / (sum(w for w, _, _ in weigh) + 1),
        sum(u for _, u in run),
        (now - min(began)) / DAY if began else math.nan,
        float(min(since, REMEMBERED)) if any(c for _, c in code) else math.nan,
    )


def same(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4, nan_ok=True)


@settings(max_examples=200, deadline=None)
@given(histories, st.integers(0, 40))
def test_in_order_of_time_it_equals_a_recount_of_everything(history: list[Label], days: int) -> None:
    history.sort(key=lambda each: (each[0], each[1], each[2]))
    now = START + (60 + days) * DAY
    same(values(told(history), now), recounted(history, now))


@settings(max_examples=200, deadline=None)
@given(short, st.randoms(use_true_random=False))
def test_within_what_is_remembered_the_order_of_arrival_does_not_matter(history: list[Label], dice: object) -> None:
    dice.shuffle(history)  # type: ignore[attr-defined]
    now = START + 70 * DAY
    same(values(told(history), now), recounted(history, now))


@settings(max_examples=200, deadline=None)
@given(st.lists(labels, min_size=1, max_size=REMEMBERED), st.data())
def test_a_withdrawn_label_leaves_no_trace(history: list[Label], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(history) - 1))
    now = START + 70 * DAY
    rest = [each for number, each in enumerate(history) if number != gone]
    ours = values(withdraw(told(history), *history[gone]), now)
    if rest:
        same(ours, recounted(rest, now))
    else:
        assert all(math.isnan(value) for value in ours)


def test_a_run_longer_than_what_is_remembered_keeps_its_beginning_until_a_genuine_one() -> None:
    row = told([(START + day * 86_400, True, 0.0) for day in range(40)])
    now = START + 47 * DAY
    assert len(row) == MAX_BYTES
    assert dict(zip(NAMES, values(row, now), strict=True))["fraud_run_days"] == 47
    late = observe(row, START + 10 * DAY, False, 0.0)  # its label came late: the run before it is another
    assert values(late, now)[4] == 47 - 24
    over = observe(row, START + 41 * DAY, False, 0.0)
    assert values(over, now)[3] == 0.0
    assert values(over, now)[5] == 1.0


def test_a_fraud_that_the_card_explains_begins_no_run_of_the_terminal() -> None:
    row = told([(START, True, 0.98)])
    unexplained, explained, _, run, days, _ = values(row, START)
    assert (unexplained, run) == pytest.approx((0.02, 0.02), abs=0.003)
    assert explained == pytest.approx(0.98, abs=0.003)
    assert math.isnan(days)


def test_nothing_known_is_missing() -> None:
    assert all(math.isnan(value) for value in values(EMPTY, START))
    assert math.isnan(values(told([(START, False, 0.0)]), START)[5])


any_label = st.tuples(
    st.one_of(st.integers(0, 30).map(lambda days: START + days * DAY), st.floats(-1e9, 1e10)),
    st.booleans(),
    st.floats(-0.5, 1.5),
)


@pytest.mark.skipif(not entity_history.COMPILED, reason="the compiled form was not built")
@settings(max_examples=200, deadline=None)
@given(st.lists(any_label, max_size=40), st.lists(st.integers(0, 60), max_size=20))
def test_both_forms_make_equal_rows_to_the_bit(history: list[tuple[float, bool, float]], gone: list[int]) -> None:
    row = EMPTY
    for number, label in enumerate(history):
        made = observe(row, *label)
        assert made == entity_history.observe_in_python(row, *label)
        row = made
        for place in gone:
            if place == number:
                row = withdraw(row, *history[place // 2])
                assert row == entity_history.withdraw_in_python(made, *history[place // 2])
                made = row
    with pytest.raises(ValueError, match="no history"):
        observe(row + b"x", *(history or [(0.0, True, 0.0)])[0])
