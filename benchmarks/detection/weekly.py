"""Batch models as a bank would run them: trained anew each week, on the 90 days whose labels are there.

scikit-learn and XGBoost are in the dependency group ``detection`` and are imported when a model is made: nothing else
of Cardwatch needs them. Settings are the libraries' own but for those named here, the same for every stream.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.seen_matrix import Stream, all_in_unit
from pipeline.lab.evaluate.folds import DAY_S

TRAINING_DAYS = 90
THREADS = 2
MISSING = -1.0
"""What a forest gets for a missing value: no feature is ever so low."""

Matrix = NDArray[Any]


class Logistic:
    """Logistic regression on the scaled features, each brought to mean 0 and deviation 1 of the training rows."""

    def __init__(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))

    def fit(self, x: Matrix, fraud: Matrix) -> None:
        self._model.fit(all_in_unit(x), fraud)

    def score(self, x: Matrix) -> Matrix:
        return np.asarray(self._model.predict_proba(all_in_unit(x))[:, 1])


class Forest:
    """A random forest: 100 trees of depth 20 at most, each on a third of the rows."""

    def __init__(self) -> None:
        from sklearn.ensemble import RandomForestClassifier

        self._model = RandomForestClassifier(
            n_estimators=100, max_depth=20, min_samples_leaf=3, max_samples=0.33, n_jobs=THREADS, random_state=0
        )

    def fit(self, x: Matrix, fraud: Matrix) -> None:
        self._model.fit(np.nan_to_num(x, nan=MISSING), fraud)

    def score(self, x: Matrix) -> Matrix:
        return np.asarray(self._model.predict_proba(np.nan_to_num(x, nan=MISSING))[:, 1])


class Boosting:
    """Gradient boosting: 300 trees of depth 6, learning rate 0.05, on 80 % of rows and columns each."""

    def __init__(self) -> None:
        from xgboost import XGBClassifier

        self._model = XGBClassifier(
            n_estimators=300,
            max_depth=6,
            learning_rate=0.05,
            subsample=0.8,
            colsample_bytree=0.8,
            tree_method="hist",
            n_jobs=THREADS,
            random_state=0,
        )

    def fit(self, x: Matrix, fraud: Matrix) -> None:
        self._model.fit(x, fraud)

    def score(self, x: Matrix) -> Matrix:
        return np.asarray(self._model.predict_proba(x)[:, 1], dtype=np.float64)


MODELS: Mapping[str, Callable[[], Logistic | Forest | Boosting]] = {
    "weekly logistic regression": Logistic,
    "weekly random forest": Forest,
    "weekly XGBoost": Boosting,
}


def weekly_scores(
    stream: Stream, make: Callable[[], Logistic | Forest | Boosting], label_delay_s: float
) -> NDArray[np.float64]:
    """Scores of the folds' transactions, each by a model trained on what was labelled when its week began; 0 for the
    other transactions. float64[n]."""
    scores = np.zeros(len(stream.transactions.at))
    for fold in stream.folds:
        for week in range(fold.start, fold.end, 7):
            labelled = week - int(np.ceil(label_delay_s / DAY_S))
            training = (fold.day >= labelled - TRAINING_DAYS) & (fold.day < labelled)
            tested = (fold.day >= week) & (fold.day < min(week + 7, fold.end))
            if stream.transactions.fraud[training].any() and tested.any():
                model = make()
                model.fit(stream.features[training], stream.transactions.fraud[training])
                scores[tested] = model.score(stream.features[tested])
    return scores
