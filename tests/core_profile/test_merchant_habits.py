"""A merchant's habits: what is usual there, what departs from it, and what does not become usual."""

import math

import numpy as np
import pytest

from pipeline.core import merchant_habits as habits
from pipeline.core import merchant_loops
from pipeline.core.merchant_habits import CALM, DAY_S, HOUR_S, WIDTH, observe, values

BEGAN = 1_800_000_000.0


def life(days: int, a_day: int, amount: float = 5_000.0, new_each: int = 0, spread: float = 0.3) -> list[float]:
    """A merchant after so many days, with amounts that spread a little; of every ``new_each`` attempts one by a new
    card."""
    line = [0.0] * WIDTH
    rng = np.random.default_rng(1)
    for number in range(days * a_day):
        at = BEGAN + number * DAY_S / a_day
        observe(line, at, amount * math.exp(rng.normal(0, spread)), bool(new_each) and number % new_each == 0)
    return line


def test_the_usual_is_about_one_and_what_departs_from_it_is_far_off() -> None:
    line, now = life(60, 48, new_each=8), BEGAN + 60 * DAY_S
    z, day, new_cards, age = values(line, now, 5_000.0)
    assert (z, day, age) == (pytest.approx(0, abs=0.2), pytest.approx(1, abs=0.1), pytest.approx(60))
    assert 0 <= new_cards < 1
    assert values(line, now, 50_000.0)[0] > 5
    assert values(line, now + 3 * DAY_S, 5_000.0)[1] < 0.2, "a quiet day"
    for second in range(40):  # stolen cards tried out, for next to nothing
        observe(line, now + second, 100.0, True)
    z, day, new_cards, _ = values(line, now + 40, 100.0)
    assert z < -5
    assert new_cards > 25
    assert day > 1.5


def test_nothing_is_said_of_habits_before_five_amounts_and_checks_teach_none() -> None:
    line = [0.0] * WIDTH
    assert all(math.isnan(value) for value in values(line, BEGAN, 100.0))
    for number in range(4):
        observe(line, BEGAN + number, 100.0, False)
    observe(line, BEGAN + 4, 0.0, False)
    observe(line, BEGAN + 5, math.nan, False)
    *nothing, age = values(line, BEGAN + DAY_S, 100.0)
    assert age == 1
    assert all(math.isnan(value) for value in nothing)
    observe(line, BEGAN + 6, 100.0, False)
    z, day, new_cards, _ = values(line, BEGAN + 6, 100.0)
    assert z == 0
    assert day == pytest.approx(8 / (1 + 7), rel=1e-3)
    assert new_cards == 0
    assert math.isnan(values(line, BEGAN + 6, 0.0)[0])


def test_one_outlier_moves_a_habit_by_no_more_than_three_deviations_over_its_memory() -> None:
    line = life(20, 24)
    before = list(line)
    observe(line, BEGAN + 20 * DAY_S, 1e15, False)
    deviation = max(before[habits.DEVIATION], 0.3)
    assert line[habits.MEAN] - before[habits.MEAN] <= 3 * deviation / 64 + 1e-12
    assert line[habits.DEVIATION] - before[habits.DEVIATION] <= 3 * deviation / 64


def test_a_burst_of_fraud_is_learned_as_a_few_usual_hours_whatever_its_size() -> None:
    moved = []
    for size in (500, 5_000):
        line, now = life(60, 48, new_each=8), BEGAN + 60 * DAY_S
        before = list(line)
        for number in range(size):
            observe(line, now + number * HOUR_S / size, 90_000.0, True)
        moved.append(line[habits.MEAN] - before[habits.MEAN])
        usual_hour = (before[habits.NEW_USUAL] + CALM) / 24 / 25
        assert line[habits.NEW_USUAL] - before[habits.NEW_USUAL] < 60 * usual_hour + 60
        assert values(line, now + HOUR_S, 90_000.0)[2] > 10 * CALM, "still no usual hour"
        assert values(line, now + HOUR_S, 90_000.0)[0] > 2, "nor a usual amount"
    assert moved[1] < 2 * moved[0] + 0.5


def test_a_late_attempt_counts_as_one_of_now() -> None:
    line = life(10, 24)
    late, now = list(line), list(line)
    observe(late, line[habits.NEWEST] - 5 * DAY_S, 5_000.0, True)
    observe(now, line[habits.NEWEST], 5_000.0, True)
    assert late == now


def attempts(seed: int, n: int = 1_500) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 10 * DAY_S, n)) + BEGAN
    times[n // 2 : n // 2 + 400] = BEGAN + 5 * DAY_S + np.arange(400) // 20  # a burst, many in a second
    times[::11] -= 4_000.0
    amounts = np.exp(rng.normal(7, 2, n))
    amounts[::13], amounts[::17] = 0.0, math.nan
    flags = rng.integers(0, 2, (2, n)).astype(np.uint8)
    return rng.integers(0, 7, n), times, amounts, flags[0], flags[1]


@pytest.mark.skipif(merchant_loops.walk is habits.walk, reason="not compiled here")
def test_compiled_and_python_loops_are_equal_to_the_bit() -> None:
    made = []
    for loops in (habits, merchant_loops):
        lines, times, amounts, new, learned = attempts(3)
        state, told, walked, alone = (
            np.zeros((7, WIDTH)),
            np.zeros((7, WIDTH)),
            np.empty((1_500, 4)),
            np.empty((1_500, 4)),
        )
        pending: list[int] = []
        second = loops.walk(lines, times, amounts, new, learned, state, told, walked, -math.inf, pending)
        arrays = [state.tobytes(), told.tobytes(), walked.tobytes()]
        loops.observe_rows(lines, times, amounts, new, state)
        changed = loops.settle(np.arange(7), state, told)
        loops.values_of(lines, times, amounts, told, alone)
        made.append([*arrays, second, pending, state.tobytes(), told.tobytes(), changed.tolist(), alone.tobytes()])
    assert made[0] == made[1]
