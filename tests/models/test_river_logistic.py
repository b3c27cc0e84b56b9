"""The classifier of labelled transactions: equal to River, equal after a dump and a load, and blind to the batch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.labelled_model import load
from models.progress import LEAST_FRAUDS, LEAST_ORDINARY, Progress
from models.river_logistic import BALANCE, KIND, Logistic

SCALES = np.array([[1.0, 0, 50, 0], [0.0, -4, 8, 1 / 3], [0.0, 0, 1, 0], [1.0, 0, 3, 0.25]])


def rows(seed: int, n: int) -> np.ndarray:
    made = np.random.default_rng(seed).exponential(5, (n, len(SCALES)))
    made[::7, 1] = np.nan
    return made


def frauds(matrix: np.ndarray) -> np.ndarray:
    return (matrix[:, 0] > 8.0).astype(float)


def taught(n: int = 400, derived: int = 1) -> Logistic:
    one = Logistic(SCALES, derived)
    matrix = rows(1, n)
    one.learn(matrix, frauds(matrix), np.ones(n))
    return one


def test_scores_are_rivers_with_the_balance_taken_out() -> None:
    one, probe = taught(), rows(2, 100)
    river = np.array([one.score_one(row) for row in probe])
    odds = np.log(river / (1 - river)) - math.log(BALANCE)
    assert one.scores(probe) == pytest.approx(1 / (1 + np.exp(-odds)), rel=1e-9)


def test_it_learns() -> None:
    one, probe = taught(4_000), rows(3, 2_000)
    truth, said = frauds(probe) > 0, one.scores(probe)
    assert said[truth].mean() > 1.5 * said[~truth].mean()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60))
def test_a_row_alone_scores_as_in_a_batch_to_the_bit(n: int) -> None:
    one, probe = taught(), rows(4, n)
    for of in (one.scores, one.explained):
        alone = np.concatenate([of(probe[place : place + 1]) for place in range(n)])
        assert alone.tobytes() == of(probe).tobytes()


def test_equal_scores_and_equal_learning_after_a_dump_and_a_load() -> None:
    one = taught()
    other = load(KIND, one.dump())
    more = rows(5, 200)
    for _ in range(2):
        assert other.scores(more).tobytes() == one.scores(more).tobytes()
        assert other.explained(more).tobytes() == one.explained(more).tobytes()
        for each in (one, other):
            each.learn(more, frauds(more), np.full(len(more), 2.0))
            each.unlearn(more[:3], frauds(more[:3]), np.ones(3))
    assert {name: array.tobytes() for name, array in one.dump().items()} == {
        name: array.tobytes() for name, array in other.dump().items()
    }


def test_what_is_taken_back_at_once_leaves_almost_nothing() -> None:
    one = taught()
    before = one.dump()["weights"]
    row = rows(6, 1)
    one.learn(row, np.ones(1), np.ones(1))
    moved = np.abs(one.dump()["weights"] - before).max()
    one.unlearn(row, np.ones(1), np.ones(1))
    assert np.abs(one.dump()["weights"] - before).max() < moved / 3


def test_contributions_add_up_to_the_score_and_explained_leaves_out_what_labels_say() -> None:
    one, probe = taught(), rows(7, 20)
    groups = one.contributions(probe)
    intercept = one.dump()["state"][0] - math.log(BALANCE)
    odds = groups["behaviour"] + groups["labels"] + intercept
    assert one.scores(probe) == pytest.approx(1 / (1 + np.exp(-odds)))
    changed = probe.copy()
    changed[:, -1] = 1_000.0
    assert one.explained(changed).tolist() == one.explained(probe).tolist()
    assert one.scores(changed).tolist() != one.scores(probe).tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": np.zeros(3)}, {"weights": np.array([0.0, 0, 0, np.inf])}, {"state": np.zeros(2)},
        {"state": np.array([0.0, 0, 4])}, {"low": np.zeros(3)}, {"high": np.zeros(4)}, {"saturating": np.full(4, 0.5)},
        {"more": np.zeros(1)},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_make_no_classifier_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(KIND, {**taught().dump(), **wrong})


def test_an_unknown_kind_and_a_matrix_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        load("forest", taught().dump())
    with pytest.raises(ValueError, match="takes 4 features"):
        taught().scores(np.zeros((1, 3)))


def progress(frauds: int, ordinary: int, said: float, percentile: float = 50.0) -> Progress:
    one = Progress()
    for fraud, count in ((True, frauds), (False, ordinary)):
        told = said if fraud else 1 - said
        one = one.after_all([fraud] * count, [percentile] * count, [1.0] * count, [told] * count, [0.02] * count)
    return one


def test_a_classifier_qualifies_with_frauds_enough_rows_nobody_looked_at_and_a_smaller_loss() -> None:
    assert progress(LEAST_FRAUDS, LEAST_ORDINARY, 0.99).qualified
    assert not progress(LEAST_FRAUDS - 1, LEAST_ORDINARY, 0.99).qualified
    assert not progress(LEAST_FRAUDS, LEAST_ORDINARY - 1, 0.99).qualified
    assert not progress(LEAST_FRAUDS, LEAST_ORDINARY, 0.99, percentile=95.0).qualified, "all of them were called about"
    assert not progress(LEAST_FRAUDS, LEAST_ORDINARY, 0.5).qualified, "the prior does better"
