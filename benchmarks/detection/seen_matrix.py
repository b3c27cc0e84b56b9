"""A stream through Cardwatch, and the matrix of features that its model saw on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.transaction_files import TransactionFile
from pipeline.app.evaluation import start
from pipeline.core.features import CATALOGUE, to_unit
from pipeline.core.scored import Scored
from pipeline.lab.evaluate.folds import Fold, cut
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.run import Options, new_bank, play
from pipeline.lab.evaluate.seen import Transactions

NAMES = tuple(feature.name for feature in CATALOGUE)
UNIT_ROWS = 100_000


class Stream(NamedTuple):
    """``transactions`` with Cardwatch's own scores; ``features`` float32[n, F], a row each, NaN missing."""

    path: Path
    transactions: Transactions
    folds: Sequence[Fold]
    features: NDArray[np.float32]
    midnight: float


def through_cardwatch(path: Path, options: Options) -> Stream:
    """Evaluate ``path`` and keep what the model saw, in the order of the transactions."""
    rows: list[NDArray[np.float32]] = []

    def watch(record: Scored) -> None:
        rows.append(record.matrix().astype(np.float32))

    played = play(TransactionFile(path), new_bank(start(), watch), options, LeftOut())
    folds = cut(played.transactions, played.midnight, options.folds, options.pace.label_delay_s)
    return Stream(path, played.transactions, folds, np.concatenate(rows), played.midnight)


def in_unit(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The rows as Cardwatch's model takes them: float64[n, M] in 0…1, nothing missing."""
    return np.concatenate(
        [to_unit(features[at : at + UNIT_ROWS].astype(np.float64)) for at in range(0, len(features), UNIT_ROWS)]
    )
