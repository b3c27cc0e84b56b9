"""Rows that wait for their label: found as they were scored, for so long, within so much memory."""

import numpy as np

from pipeline.roles.learner.waiting import SEGMENT_ROWS, UNKNOWN, Arrived, Waiting

COLUMNS = 3
ROW_BYTES = 8 * (COLUMNS + 6)


def rows(first: int, n: int, seed: int = 0) -> Arrived:
    numbers = np.arange(first, first + n)
    keys = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # spread over all bits, as digests are
    matrix = np.random.default_rng(seed).random((n, COLUMNS))
    return Arrived(keys, numbers.astype(float), numbers % 100.0, np.column_stack([keys] * 3), matrix)


def key(number: int) -> int:
    return int(rows(number, 1).keys[0])


def test_a_row_is_found_as_it_came_to_the_bit() -> None:
    waiting, given = Waiting(COLUMNS, 1e9, 10**9), rows(0, 10_000)
    for start in range(0, 10_000, 700):
        waiting.add(given.rows(start, start + 700), 0, start)
    assert len(waiting) == 10_000
    for number in (0, SEGMENT_ROWS - 1, SEGMENT_ROWS, 9_999):
        found = waiting.find(key(number), 0.0)
        assert found is not None
        assert found.matrix.tobytes() == given.matrix[number : number + 1].tobytes()
        assert (found.at, found.percentile, found.weight) == (number, number % 100, 1.0)
        assert found.entities == given.entities[number].tolist()
        assert found.learned == (UNKNOWN, 1.0)
    assert waiting.find(key(10_001), 0.0) is None


def test_memory_is_what_is_said() -> None:
    waiting = Waiting(COLUMNS, 1e9, 10**9)
    waiting.add(rows(0, SEGMENT_ROWS), 0, 0)
    assert waiting.nbytes >= SEGMENT_ROWS * (ROW_BYTES + 100)
    waiting.forget(2e9)
    assert (waiting.nbytes, len(waiting), waiting.places()) == (0, 0, {})


def test_rows_are_kept_so_long_and_the_place_to_read_them_again_moves_on() -> None:
    waiting = Waiting(COLUMNS, 5_000.0, 10**9)
    for start in range(0, 12_288, 1_024):
        waiting.add(rows(start, 1_024), start // 1_024 % 2, start)
    assert waiting.places() == {0: 0, 1: 1_024}
    assert waiting.find(key(100), 5_100.0) is not None
    assert waiting.find(key(99), 5_100.0) is None, "even while its segment is still there"
    waiting.forget(9_097.0)
    assert waiting.places() == {0: 4_096, 1: 5_120}


def test_rows_mature_once_in_their_time_and_one_that_comes_late_at_once() -> None:
    waiting, size = Waiting(COLUMNS, 1e9, 10**9, 64), 64
    for start in range(1_000, 1_000 + 4 * size, size):
        waiting.add(rows(start, size), 0, start)
    matured = [row.at for row in waiting.matured(1_100.0)]
    assert matured == [float(at) for at in range(1_000, 1_101)]
    assert list(waiting.matured(1_100.0)) == []
    waiting.add(rows(500, 2), 0, 9_999)
    assert [row.at for row in waiting.matured(1_101.0)] == [1_101.0, 500.0, 501.0]


def test_rows_that_come_later_than_they_are_kept_go_with_their_segment() -> None:
    waiting, size = Waiting(COLUMNS, 1_000.0, 10**9, 64), 64
    waiting.add(rows(10_000, size), 0, 0)
    waiting.forget(10_500.0)
    waiting.add(rows(100, size), 0, 1)
    assert len(waiting) == 2 * size
    waiting.forget(10_500.0)
    assert (len(waiting), waiting.places()) == (size, {0: 0})
    waiting.forget(20_000.0)
    assert (len(waiting), waiting.nbytes) == (0, 0)


def test_beyond_the_limit_the_older_half_is_thinned_by_id_and_stands_for_all() -> None:
    size = 64
    most = 40 * size * (ROW_BYTES + 150)
    waiting, total = Waiting(COLUMNS, 1e9, most, size), 0
    for start in range(0, 200 * size, size):
        waiting.add(rows(start, size), 0, start)
        waiting.forget(0.0)
        assert waiting.nbytes <= most
        total += size
    found = [waiting.find(key(number), 0.0) for number in range(total)]
    there = [row for row in found if row is not None]
    assert len(there) == len(waiting) < total / 2
    weight = sum(row.weight for row in there)
    assert abs(weight - total) < 0.15 * total
    assert all(row is not None and row.weight == 1.0 for row in found[-10 * size :]), "what came lately is all there"
    for number, row in enumerate(found):
        if row is not None:
            assert (row.at, row.key) == (number, key(number))
    assert len(waiting._segments) < 80, "thinned ones are put together"


def test_rows_mature_once_whatever_order_they_came_in() -> None:
    waiting = Waiting(COLUMNS, 1e9, 10**9)
    waiting.add(rows(100, 3), 0, 0)
    waiting.add(rows(50, 3), 1, 0)
    assert [row.at for row in waiting.matured(100.0)] == [100.0, 50.0, 51.0, 52.0]
    assert [row.at for row in waiting.matured(101.0)] == [101.0]
    assert list(waiting.matured(101.0)) == []
    waiting.add(rows(10, 1), 1, 1)
    assert [row.at for row in waiting.matured(101.0)] == [10.0]
    row = waiting.find(key(100), 0.0)
    assert row is not None
    assert row.mature
