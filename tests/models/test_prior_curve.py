"""The designed curve from percentile to probability: the one shipped, and what is refused with file and line."""

from pathlib import Path

import numpy as np
import pytest

from models.calibrate import PriorRefused, parse_prior

SHIPPED = Path(__file__).parents[2] / "config" / "models" / "prior.toml"
GOOD = """# a comment with { braces }
base_rate = 0.01
points = [
    { percentile = 0, probability = 0.0 },
    { percentile = 100, probability = 0.02 },
]
"""


def test_the_shipped_curve_says_what_its_page_says() -> None:
    curve = parse_prior(SHIPPED.read_text(), SHIPPED.name)
    assert curve.base_rate == 0.002
    assert curve.of(np.array([0.0, 99.9, 100.0])).tolist() == [0.0002, 0.3, 0.6]


def test_the_scores_of_many_transactions_add_up_to_the_base_rate() -> None:
    curve = parse_prior(SHIPPED.read_text(), SHIPPED.name)
    assert curve.of(np.linspace(0, 100, 200_001)).mean() == pytest.approx(curve.base_rate, rel=0.1)


def test_straight_between_points_never_falling_and_the_same_in_any_batch() -> None:
    curve = parse_prior(SHIPPED.read_text(), SHIPPED.name)
    asked = np.sort(np.random.default_rng(2).random(2_000) * 100)
    got = curve.of(asked)
    assert (np.diff(got) >= 0).all()
    assert got.tolist() == [float(curve.of(asked[i : i + 1])[0]) for i in range(len(asked))]
    assert parse_prior(GOOD, "p.toml").of(np.array([25.0])).tolist() == [0.005]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("base_rate = 0.01", "base_rate = ", 2, "not TOML"),
        ("base_rate = 0.01", "base_rate = 1.5", 2, "between 0 and 1"),
        ("base_rate = 0.01", "base_rate = true", 2, "between 0 and 1"),
        ("base_rate = 0.01", "", 1, "base_rate must"),
        ("base_rate = 0.01", "base_rate = 0.02", 2, "mean probability is 0.01000"),
        ("base_rate = 0.01", "base_rate = 0.01\nbias = 1", 3, "unknown setting 'bias'"),
        ("percentile = 0,", "percentile = 1,", 4, "first point"),
        ("percentile = 100", "percentile = 99", 5, "last point"),
        ("percentile = 100", "percentile = 0", 5, "does not rise"),
        ("probability = 0.02", "probability = -1", 5, "from 0 to 1"),
        ("probability = 0.02", "probability = nan", 5, "from 0 to 1"),
        ("probability = 0.0 ", "probability = 0.5 ", 5, "falls below"),
        ("probability = 0.02", "p = 0.02", 5, "exactly percentile and probability"),
        ("    { percentile = 100, probability = 0.02 },\n", "", 3, "2 to 100"),
    ],
)
def test_a_wrong_page_is_refused_with_file_and_line(old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(PriorRefused, match=says) as refused:
        parse_prior(GOOD.replace(old, new), "prior.toml")
    assert str(refused.value).startswith(f"prior.toml:{line}: ")
