"""The evaluated bank learns from labels as the live one would: scores get better, nothing is known before its time, and
how rows are read changes nothing."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.classifier import Classifier
from pipeline.lab.evaluate.bank import Judged
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.loop import Pace, drive
from pipeline.lab.evaluate.run import new_bank
from pipeline.lab.evaluate.stream import Labelled
from pipeline.roles.learner.columns import COLUMNS
from pipeline.roles.learner.labelled import LabelPlan
from tests.evaluate.evaluate_world import CURVE, DAY_S, MIDNIGHT, START, chunked, month

LABELS = LabelPlan(
    lambda: Classifier(COLUMNS), len(COLUMNS), CURVE.of,
    keep_s=60 * DAY_S, maturity_s=None, unlabelled_weight=1.0, most_bytes=1_000_000_000,
)  # fmt: skip
LEARNING = START._replace(plan=START.plan._replace(labels=LABELS))
DELAY_S = 2 * DAY_S
PACE = Pace(DELAY_S, 6 * 3_600.0)
ROWS = month(rows=3_000, days=20)


def column(rows: Sequence[Labelled], name: str = "score", size: int = 2_000) -> np.ndarray:
    kept: list[Judged] = []
    drive(
        chunked(rows, size), new_bank(LEARNING), PACE, lambda first: MIDNIGHT, lambda _, it: kept.append(it), LeftOut()
    )
    return np.concatenate([getattr(judged, name) for judged in kept])


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return column(ROWS)


def test_what_is_learned_finds_the_frauds(scores: np.ndarray) -> None:
    late = np.array([row.at > MIDNIGHT + 14 * DAY_S for row in ROWS])
    fraud = np.array([row.fraud for row in ROWS])
    assert np.median(scores[late & fraud]) > 20 * np.median(scores[late & ~fraud])
    assert abs(scores[late].mean() - fraud[late].mean()) < 0.02  # a probability, not just an order


def test_labels_after_a_day_set_to_nothing_change_no_score_up_to_the_delay_later(scores: np.ndarray) -> None:
    day = MIDNIGHT + 13 * DAY_S
    forgetful = column([row._replace(fraud=row.fraud and row.at < day) for row in ROWS])
    early = np.array([row.at < day + DELAY_S for row in ROWS])
    assert scores[early].tobytes() == forgetful[early].tobytes()
    assert (scores[~early] != forgetful[~early]).any()


def test_scores_are_equal_to_the_bit_however_rows_are_read(scores: np.ndarray) -> None:
    assert column(ROWS, size=61).tobytes() == scores.tobytes()
