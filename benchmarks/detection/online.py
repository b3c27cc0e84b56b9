"""River by itself, a transaction at a time: a classifier that learns from late labels, and an anomaly detector."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from river import linear_model, preprocessing

from detection.seen_matrix import LABEL_DERIVED, NAMES, Stream, all_in_unit, in_unit
from models.half_space_trees import Shape
from models.learning import Learning
from pipeline.core.features import MODEL_FEATURES


def river_logistic(stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    """River's scaler and logistic regression as they come; a transaction is learned when its label is there. Only the
    folds are scored: float64[n], 0 elsewhere."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    at, fraud = stream.transactions.at, stream.transactions.fraud.tolist()
    rows, wanted = all_in_unit(stream.features), _in_folds(stream)
    scores = np.zeros(len(at))
    known = np.searchsorted(at, at - label_delay_s, side="right")
    learned = 0
    for number in range(len(at)):
        while learned < known[number]:
            model.learn_one(_named(rows[learned].tolist()), fraud[learned])
            learned += 1
        if wanted[number]:
            scores[number] = model.predict_proba_one(_named(rows[number].tolist())).get(True, 0.0)
    return scores


def half_space_trees(stream: Stream, label_delay_s: float) -> NDArray[np.float64]:
    """River's half-space trees in the shape that Cardwatch's learner has, scoring before learning each row; they need
    no labels. float64[n], 0 outside the folds."""
    model = Learning(Shape(), MODEL_FEATURES)
    rows, wanted = in_unit(stream.features), _in_folds(stream)
    scores = np.zeros(len(rows))
    for number in range(len(rows)):
        if wanted[number]:
            scores[number] = model.score_one(rows[number].tolist())
        model.learn(rows[number : number + 1])
    return scores


MODELS = {"River logistic regression alone": river_logistic, "half-space trees alone": half_space_trees}


def _in_folds(stream: Stream) -> NDArray[np.bool_]:
    return np.logical_or.reduce([fold.rows for fold in stream.folds])


_ALL = (*MODEL_FEATURES, *(NAMES[column] for column in LABEL_DERIVED))


def _named(row: Sequence[float]) -> dict[str, float]:
    return dict(zip(_ALL, row, strict=True))
