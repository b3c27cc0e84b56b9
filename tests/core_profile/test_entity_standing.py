"""The values for a whole poll are those that the history itself gives, one by one."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.entity_history import EMPTY, HEAD, observe
from pipeline.core.entity_history import values as of_row
from pipeline.core.entity_standing import fill, fill_in_python, has_fraud, standing, standing_in_python, values

labels = st.lists(st.tuples(st.integers(0, 200).map(float), st.booleans(), st.floats(0, 1)), max_size=40)


def row_of(said: list[tuple[float, bool, float]]) -> bytes:
    row = EMPTY
    for day, fraud, explained in said:
        row = observe(row, 1e9 + day * 86_400, fraud, explained)
    return row


@given(st.lists(labels, min_size=1, max_size=5), st.floats(-10, 300))
def test_equal_to_the_history_itself(histories: list[list[tuple[float, bool, float]]], day: float) -> None:
    now = 1e9 + day * 86_400
    rows = [row for said in histories if said and has_fraud(row := row_of(said))]
    if not rows:
        return
    together = values(np.array([standing(row) for row in rows]), np.full(len(rows), now))
    for mine, row in zip(together.tolist(), rows, strict=True):
        assert mine == pytest.approx(list(of_row(row, now)), nan_ok=True, rel=1e-9)


@given(labels)
def test_both_forms_give_equal_standings_to_the_bit(said: list[tuple[float, bool, float]]) -> None:
    row = row_of(said)
    assert np.array(standing(row)).tobytes() == np.array(standing_in_python(row)).tobytes()


def test_of_a_run_longer_than_is_remembered_both_forms_give_an_equal_standing() -> None:
    for unexplained in (0.0, 0.7):
        row = row_of([(float(day), True, unexplained) for day in range(20)])
        assert np.array(standing(row)).tobytes() == np.array(standing_in_python(row)).tobytes()
        assert standing(row)[4] == pytest.approx(20 * (1 - unexplained), abs=0.05)


@pytest.mark.parametrize("form", [standing, standing_in_python])
def test_what_is_no_row_is_refused(form: Callable[[bytes], object]) -> None:
    for wrong in (EMPTY + b"\0", EMPTY + b"\xff" * 3, HEAD.pack(1, math.inf, 0.0, 0.0, 0, 0.0)):
        with pytest.raises(ValueError, match="no history"):
            form(wrong)


def test_an_entity_without_fraud() -> None:
    assert not has_fraud(EMPTY)
    assert not has_fraud(row_of([(1.0, False, 0.0)]))
    assert has_fraud(row_of([(1.0, True, 0.3)]))
    assert math.isnan(standing(EMPTY)[0])


@given(st.lists(labels, min_size=1, max_size=5), st.lists(st.integers(0, 8), max_size=9), st.floats(-10, 300))
def test_both_forms_fill_in_equal_values_to_the_bit(
    histories: list[list[tuple[float, bool, float]]], digests: list[int], day: float
) -> None:
    rows = [row for said in histories if (row := row_of([*said, (5.0, True, 0.4)]))]
    standings = np.array([standing(EMPTY), *map(standing, rows)])
    lines = {number + 2: number + 1 for number in range(len(rows))}
    taken, now = np.array(digests, dtype=np.uint64), 1e9 + day * 86_400 + np.arange(float(len(digests)))
    one, other = np.full((len(digests), 8), np.nan), np.full((len(digests), 8), np.nan)
    fill(lines, standings, taken, now, one, 2)
    fill_in_python(lines, standings, taken, now, other, 2)
    assert one.tobytes() == other.tobytes()
    assert (~np.isnan(one[:, 2])).tolist() == [digest in lines for digest in digests]
    assert np.isnan(one[:, :2]).all()
