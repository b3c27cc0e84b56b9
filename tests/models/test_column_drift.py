"""What changed is found by its column, what did not is not, and a restart forgets nothing of the reference."""

import msgspec
import numpy as np
import pytest

from models.drift import DAY_S, EVERY, ColumnDrift, Kept, index

NAMES = ("steady", "shifts", "goes_missing", "category", "always_missing")
RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def same_days_whatever_ran_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(11))


def day(shift: float = 0.0, missing: float = 0.1, rows: int = 20_000) -> np.ndarray:
    made = RNG.normal(0, 1, (rows, 5))
    made[:, 1] += shift
    made[RNG.random(rows) < missing, 2] = np.nan
    made[:, 3] = RNG.integers(0, 3, rows)
    made[:, 4] = np.nan
    return made


def fed(drift: ColumnDrift, first_day: int, days: list[np.ndarray], size: int = 700) -> ColumnDrift:
    for number, rows in enumerate(days, first_day):
        for start in range(0, len(rows), size):
            drift.add(rows[start : start + size], (number + start / len(rows)) * DAY_S)
    return drift


def test_only_what_changed_drifts() -> None:
    drift = fed(ColumnDrift(NAMES), 100, [day(), day(), day()])
    assert max(drift.indices().values()) < 0.05
    found = fed(drift, 103, [day(1.0, 0.8), day(1.0, 0.8)]).indices()
    assert {name for name, value in found.items() if value > 0.25} == {"shifts", "goes_missing"}
    assert max(found["steady"], found["category"], found["always_missing"]) < 0.05
    back = fed(drift, 105, [day() for _ in range(5)]).indices()
    assert max(back.values()) < 0.1, "the last day, not all that ever was"


def test_nothing_is_told_before_a_day_of_reference() -> None:
    drift = fed(ColumnDrift(NAMES), 100, [day()[:19_000]])
    assert set(drift.indices().values()) == {0.0}


def test_a_reference_outlives_the_process_and_is_forgotten_with_other_columns() -> None:
    first = [day(), day()]
    whole, begun = fed(ColumnDrift(NAMES), 100, first), fed(ColumnDrift(NAMES), 100, first)
    kept = begun.keep()
    assert kept is not None
    again, other = ColumnDrift(NAMES), ColumnDrift((*NAMES[1:], "new"))
    for one in (again, other):
        one.resume(msgspec.json.decode(msgspec.json.encode(kept), type=Kept))
    changed = [day(1.0), day(1.0)]
    for one in (whole, again, other):
        fed(one, 103, changed)
    assert again.indices()["shifts"] == pytest.approx(whole.indices()["shifts"], rel=0.25), "but for the days before it"
    assert max(other.indices().values()) < 0.1, "its reference begins now"
    again.resume(msgspec.structs.replace(kept, counts=b""))
    assert again.indices()["shifts"] > 0.5, "half a reference is none"


def test_the_size_of_the_chunks_makes_no_difference_but_to_how_late_it_is_seen() -> None:
    rows = [day(), day(), day(0.5)]
    large, small = (fed(ColumnDrift(NAMES), 100, rows, size).indices() for size in (5_000, 7))
    for name in NAMES:
        assert large[name] == pytest.approx(small[name], abs=0.05)
    assert ColumnDrift(NAMES).add(day()[: EVERY * 100], 0.0) is False


def test_the_index_is_the_books() -> None:
    a, b = np.array([30.0, 50.0, 20.0]), np.array([25.0, 50.0, 25.0])
    assert index(a, b) == pytest.approx(0.05 * np.log(1.2) + 0.05 * np.log(1.25))
