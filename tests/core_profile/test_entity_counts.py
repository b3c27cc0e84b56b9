"""The bank's counters per merchant and customer against exact windows: never too little, at most one bucket too much."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.counter_slots import DISTINCT_ESTIMATES
from pipeline.core.counters import parse_counter
from pipeline.core.entities import EntityKeys
from pipeline.core.entity_count_ledger import EntityCountLedger, EntityCountWalk
from pipeline.core.entity_count_table import EntityCountTable
from pipeline.core.entity_counters import EntityCounters
from pipeline.core.entity_counts import Definition, Followed, Held, pack_followed, pack_line, unpack
from pipeline.core.told import PARTS, Gathered, Told

BEGAN = 1_700_000_000.0
FUNCTIONS = ("count", "sum(amount)", "max(amount)", "distinct(card)")
Attempt = tuple[int, float, float]
"""Entity, seconds after `BEGAN`, what it counts."""


def counters(*texts: str) -> EntityCounters:
    return EntityCounters([parse_counter(f"c{number}", text) for number, text in enumerate(texts)])


def keys(attempts: Sequence[Attempt]) -> EntityKeys:
    who = np.array([entity for entity, _, _ in attempts], dtype=np.uint64)
    none = np.zeros(len(attempts), dtype=np.uint64)
    return EntityKeys(np.array([BEGAN + at for _, at, _ in attempts]), none, who, none, who)


def hits(attempts: Sequence[Attempt], columns: int = 1) -> np.ndarray:
    return np.repeat(np.array([[hit] for _, _, hit in attempts]).reshape(-1, 1), columns, axis=1)


def told_to(ledger: EntityCountLedger, *tables: EntityCountTable) -> None:
    while made := list(ledger.tellings(1, {})):
        for table in tables:
            for told in made:
                table.take(told)


def exact(function: str, values: list[float]) -> float:
    if function == "count":
        return len(values)
    if function.startswith("sum"):
        return sum(values)
    if function.startswith("max"):
        return max(values, default=0.0)
    return DISTINCT_ESTIMATES[len(set(values))]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.tuples(st.integers(1, 3), st.floats(0, 2_000), st.integers(0, 26)), max_size=40),
    st.lists(st.integers(0, 120), min_size=40, max_size=40),
    st.floats(0, 3_000),
)
@settings(deadline=None, max_examples=80)
def test_a_value_lies_between_the_window_and_the_window_with_one_bucket_more(
    function: str, given_: list[tuple[int, float, int]], late: list[int], asked: float
) -> None:
    made = counters(f"{function} per merchant over 10m")
    (definition,) = made.definitions
    ledger, table = EntityCountLedger(), EntityCountTable()
    ledger.observe(made.definitions, keys([(9, -5_000.0, 1)]), hits([(9, 0, 1)]))
    in_order = sorted(given_, key=lambda each: each[1])
    attempts = [(who, max(at - by, 0.0), 1.0 if function == "count" else float(hit))
                for (who, at, hit), by in zip(in_order, late, strict=False)]  # fmt: skip
    attempts = [each for each in attempts if each[1] <= asked]
    for each in attempts:
        ledger.observe(made.definitions, keys([each]), hits([each]))
    told_to(ledger, table)
    for who in (1, 2, 3):
        question = [(who, asked, np.nan)]
        found = table.values(made, keys(question), hits(question))[0, 0]
        within = {
            length: exact(function, [hit for one, at, hit in attempts if one == who and at > asked - length])
            for length in (definition.window_s, definition.window_s + definition.bucket_s + 1e-3)
        }
        least, most = within.values()
        assert least - 1e-9 <= found <= most + 1e-9


STREAM = st.lists(
    st.tuples(st.integers(0, 4), st.floats(0, 30), st.one_of(st.just(np.nan), st.floats(0, 100))), max_size=30
)


@given(STREAM, st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_it_does_not_matter_how_rows_are_cut_into_polls(stream: list[tuple[int, float, float]], size: int) -> None:
    made = counters("sum(amount) per merchant over 1m", "count per customer over 2m")
    at, attempts = 0.0, []
    for who, pause, hit in stream:
        at += pause
        attempts.append((who, at, hit))
    if not attempts:
        return
    whole, cut = EntityCountWalk(), EntityCountWalk()
    at_once = whole.values(made, keys(attempts), hits(attempts, 2))
    parts = [attempts[start : start + size] for start in range(0, len(attempts), size)]
    in_parts = np.concatenate([cut.values(made, keys(part), hits(part, 2)) for part in parts])
    assert at_once.tobytes() == in_parts.tobytes()


def test_the_walk_knows_what_was_before_this_second_and_never_the_transaction_itself() -> None:
    made = counters("count per merchant over 1m")
    attempts = [(9, 0.0, 1.0), (1, 60.0, 1.0), (1, 60.5, 1.0), (1, 61.0, 1.0), (2, 61.5, np.nan)]
    found = EntityCountWalk().values(made, keys(attempts), hits(attempts))[:, 0].tolist()
    assert np.isnan(found[0])
    assert found[1:] == [0.0, 0.0, 2.0, 0.0]


def test_without_a_merchant_there_is_no_value_and_nobody_is_counted() -> None:
    made, ledger, table = counters("count per merchant over 1m"), EntityCountLedger(), EntityCountTable()
    attempts = [(0, 0.0, 1.0), (0, 70.0, 1.0)]
    ledger.observe(made.definitions, keys(attempts), hits(attempts))
    told_to(ledger, table)
    assert len(table) == len(ledger) == 0
    assert np.isnan(table.values(made, keys(attempts), hits(attempts))).all()


def test_two_counters_of_one_merchant_do_not_meet() -> None:
    made, ledger, table = counters(*(f"{each} per merchant over 1h" for each in FUNCTIONS)), EntityCountLedger(), EntityCountTable()  # fmt: skip
    attempts = [(5, 0.0, 3.0), (5, 3_600.0, 4.0), (5, 3_601.0, 4.0)]
    given_ = hits(attempts, 4)
    given_[:, 0] = 1.0
    ledger.observe(made.definitions, keys(attempts), given_)
    told_to(ledger, table)
    question = [(5, 3_602.0, np.nan)]
    assert table.values(made, keys(question), hits(question, 4)).tolist() == [[3.0, 11.0, 4.0, 2.0]]


def value_at(table: EntityCountTable, made: EntityCounters, who: int, at: float) -> float:
    question = [(who, at, np.nan)]
    return float(table.values(made, keys(question), hits(question, len(made.each)))[0, 0])


def test_a_learner_goes_on_from_what_was_told() -> None:
    made, first = counters("count per merchant over 10m"), EntityCountLedger()
    attempts = [(who, at, 1.0) for at in (0.0, 300.0, 590.0) for who in (1, 2)]
    first.observe(made.definitions, keys(attempts), hits(attempts))
    gathered, table = Gathered(), EntityCountTable()
    for told in first.tellings(1, {}):
        gathered.take(told)
        table.take(told)
    second = EntityCountLedger(gathered)
    more = [(1, 610.0, 1.0)]
    for ledger in (first, second):
        ledger.observe(made.definitions, keys(more), hits(more))
    (changed, _), (expected, _) = list(second.tellings(2, {})), list(first.tellings(1, {}))
    assert changed.rows == expected.rows
    assert changed.sequence == expected.sequence
    table.take(changed)
    assert [value_at(table, made, who, 611.0) for who in (1, 2, 3)] == [4.0, 3.0, 0.0]


def test_a_counter_that_a_policy_was_without_has_no_value_until_its_window_has_passed_again() -> None:
    made, ledger, table = counters("count per merchant over 1m"), EntityCountLedger(), EntityCountTable()

    def attempt(at: float, *definitions: Definition) -> float:
        ledger.observe(definitions, keys([(1, at, 1.0)]), hits([(1, at, 1.0)], len(definitions)))
        told_to(ledger, table)
        return value_at(table, made, 1, at)

    known = [attempt(at, *made.definitions) for at in (0.0, 59.0, 60.0)]
    assert np.isnan(known[:2]).all()
    assert known[2] == 3.0
    assert np.isnan(attempt(61.0))
    assert np.isnan(attempt(62.0, *made.definitions))
    assert np.isnan(attempt(120.0, *made.definitions))
    assert attempt(122.0, *made.definitions) == 5.0, "all but the one it missed; the bucket reaches back to 58"


def test_a_counter_that_is_gone_is_forgotten_with_its_lines() -> None:
    made, ledger, table, late = counters("count per merchant over 31d"), EntityCountLedger(), EntityCountTable(), Gathered()  # fmt: skip
    attempts = [(who, 0.0, 1.0) for who in range(1, 50)]
    ledger.observe(made.definitions, keys(attempts), hits(attempts))
    told_to(ledger, table)
    other = counters("count per merchant over 1m")
    for number in range(2 * PARTS):
        at = [(1, 10.0 + number, 1.0)]
        ledger.observe(other.definitions, keys(at), hits(at))
        for told in ledger.tellings(1, {}):
            table.take(told)
            late.take(told)
    assert len(ledger) == len(table) == 1
    assert np.isnan(value_at(table, made, 1, 40 * 86_400.0))


def test_lines_of_which_the_window_has_passed_are_forgotten() -> None:
    made, ledger, table = counters("count per merchant over 1m"), EntityCountLedger(), EntityCountTable()
    for number in range(1, 3 * PARTS):
        at = [(number, float(number), 1.0)]
        ledger.observe(made.definitions, keys(at), hits(at))
        for told in ledger.tellings(1, {}):
            table.take(told)
    assert len(ledger) < 400
    assert len(table) == len(ledger)


def test_there_is_a_most_of_lines_and_the_longest_silent_go_first() -> None:
    made, ledger = counters("count per merchant over 31d"), EntityCountLedger(most=2 * PARTS)
    first = made.definitions[0].tag % PARTS  # these all fall into one part
    attempts = [(who * PARTS + first, float(at), 1.0) for at, who in enumerate((1, 2, 1, 3))]
    ledger.observe(made.definitions, keys(attempts), hits(attempts))
    table = EntityCountTable()
    told_to(ledger, table)
    assert len(ledger) == 2
    assert [value_at(table, made, who * PARTS + first, 40 * 86_400.0) for who in (1, 2, 3)] == [0.0, 0.0, 0.0]
    assert [value_at(table, made, who * PARTS + first, 31 * 86_400.0) for who in (1, 2, 3)] == [2.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("key", "row"),
    [
        (5, b""),
        (5, b"1234567"),
        (5, pack_line(Held(7, ()))),
        (5, pack_line(Held(7, ((2, 1.0), (1, 1.0))))),
        (5, pack_line(Held(7, ((1, 1.0),) * 2))),
        (5, pack_line(Held(7, ((1, -1.0),)))),
        (5, pack_line(Held(7, ((1, float("nan")),)))),
        (5, pack_line(Held(7, ((1, float("inf")),)))),
        (5, pack_line(Held(7, tuple((number, 1.0) for number in range(12))))),
        (5, pack_line(Held(7, ((1, 1.0),)))[:-1]),
        (7, pack_followed(Followed(Definition("merchant", "count", 60, 7), float("nan")))),
        (7, pack_followed(Followed(Definition("merchant", "count", 0, 7), 1.0))),
        (7, pack_followed(Followed(Definition("merchant", "count", 60, 7), 1.0))[:-1] + b"\7"),
    ],
)
def test_rows_that_are_none_are_refused_and_change_nothing(key: int, row: bytes) -> None:
    with pytest.raises(ValueError, match="counter"):
        unpack(key, row)
    table = EntityCountTable()
    with pytest.raises(ValueError, match="counter"):
        table.take(Told("counters", 1, 1, None, {77: pack_line(Held(7, ((1, 1.0),))), key: row}, {}))
    assert len(table) == 0


@pytest.mark.parametrize("hit", [float("inf"), -1.0, 27.0, 1e15])
def test_a_hit_that_no_scorer_makes_is_not_counted(hit: float) -> None:
    made, ledger = counters("distinct(card) per merchant over 1m"), EntityCountLedger()
    ledger.observe(made.definitions, keys([(1, 0.0, hit)]), hits([(1, 0.0, hit)]))
    assert len(ledger) == 0
