"""What each part of the classifier, and each group of features, buys: the same stream without it.

The classifier is Cardwatch's own, over the matrix that was seen; only that models move once a day here, and that what
labels say of terminals, merchants and cards is as it was then. So figures are held against "all of it" below, not
against Cardwatch's.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from detection.seen_matrix import LABEL_DERIVED, NAMES, Stream
from models.binning import Column
from models.calibration_online import probability
from models.classifier import Classifier
from pipeline.lab.evaluate.folds import DAY_S
from pipeline.roles.learner.columns import COLUMNS

ALL = "classifier, all of it"
_LABELLED = {NAMES[column] for column in LABEL_DERIVED}


def _says(*beginnings: str) -> Callable[[Column], bool]:
    return lambda column: column.name not in _LABELLED and column.name.startswith(beginnings)


GROUPS: Mapping[str, Callable[[Column], bool]] = {
    "amount": _says("amount"),
    "counts and sums": _says(
        "count_", "sum_", "mean_", "max_", "cash_", "is_cash", "seconds_since", "declines", "card_checks"
    ),
    "hour": _says("hour_"),
    "place": _says("km_", "speed_", "abroad", "new_country"),
    "kind of merchant and entry mode": _says("mcc_", "entry_mode", "new_m", "new_entry"),
    "merchant's own habits": _says("merchant_", "terminal_"),
    "customer's and card's events": _says("hours_since", "days_since", "reported", "logins", "travel"),
    "labels of the terminal": lambda column: column.name in _LABELLED and column.name.startswith("terminal_"),
    "labels of the merchant": lambda column: column.name in _LABELLED and column.name.startswith("merchant_"),
    "labels of the card": lambda column: column.name in _LABELLED and column.name.startswith("card_"),
    "all labels": lambda column: column.name in _LABELLED,
}


def classifier_scores(
    stream: Stream,
    label_delay_s: float,
    columns: Sequence[Column] = COLUMNS,
    calibrated: bool = True,
) -> NDArray[np.float64]:
    """Scores of the folds' transactions, 0 for the others; float64[n]. A day's are by what was labelled as it began."""
    model = Classifier(columns)
    places = [NAMES.index(column.name) for column in columns]
    at, fraud = stream.transactions.at, stream.transactions.fraud.astype(np.float64)
    wanted = np.logical_or.reduce([fold.rows for fold in stream.folds])
    scores = np.zeros(len(at))
    days = np.arange(stream.midnight, at[-1] + DAY_S, DAY_S)
    begins, known = np.searchsorted(at, days), np.searchsorted(at, days - label_delay_s)
    learned = 0
    for day in range(len(days) - 1):
        if known[day] > learned:
            model.learn(_rows(stream, learned, known[day], places), fraud[learned : known[day]])
            learned = known[day]
        rows = slice(begins[day], begins[day + 1])
        if not model.settled or wanted[rows].any():
            matrix = _rows(stream, rows.start, rows.stop, places)
            model.observe(matrix)
            scores[rows] = model.scores(matrix) if calibrated else probability(model.log_odds(matrix))
    return np.where(wanted, scores, 0.0)


def _rows(stream: Stream, start: int, end: int, places: Sequence[int]) -> NDArray[np.float64]:
    return np.asarray(stream.features[start:end], dtype=np.float64)[:, places]


def _learned_once(stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    with patch("models.replay.MOST_ROWS", 0):
        return classifier_scores(stream, label_delay_s)


def _by_the_weights_alone(stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    with patch("models.classifier.STATE_BYTES", 0):  # no room for an average
        return classifier_scores(stream, label_delay_s)


def _without(group: str, stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    return classifier_scores(stream, label_delay_s, [column for column in COLUMNS if not GROUPS[group](column)])


def _without_crosses(stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    return classifier_scores(stream, label_delay_s, [column._replace(crossed=False) for column in COLUMNS])


MODELS: Mapping[str, Callable[[Stream, float], NDArray[np.float64]]] = {
    ALL: classifier_scores,
    "without crosses": _without_crosses,
    "without learning suspicious rows again": _learned_once,
    "without the average of weights": _by_the_weights_alone,
    "without calibration": partial(classifier_scores, calibrated=False),
    **{
        f"without {group}": partial(_without, group)
        for group, is_of_it in GROUPS.items()
        if any(map(is_of_it, COLUMNS))
    },
}
