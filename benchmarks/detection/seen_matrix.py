"""A stream through Cardwatch, and the matrix of features that its model saw on the way."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.transaction_files import LabelledRow, Rejected, TransactionFile
from pipeline.app.evaluation import start
from pipeline.core.features import CATALOGUE, ENTITY_FEATURES, UNIT
from pipeline.core.scored import Scored
from pipeline.lab.evaluate.folds import DAY_S, Fold, cut
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.run import Options, new_bank, play
from pipeline.lab.evaluate.seen import Transactions

NAMES = tuple(feature.name for feature in CATALOGUE)
LABEL_DERIVED = [NAMES.index(feature.name) for feature in ENTITY_FEATURES]
UNIT_ROWS = 100_000
FEATURES_FILE, TRANSACTIONS_FILE = "features.npy", "transactions.npz"


class Stream(NamedTuple):
    """``transactions`` with Cardwatch's own scores; ``features`` float32[n, F], a row each, NaN missing."""

    transactions: Transactions
    folds: Sequence[Fold]
    features: NDArray[np.float32]
    midnight: float


class FirstDays:
    """The rows of ``file`` from its first ``days`` days only."""

    def __init__(self, file: TransactionFile, days: int) -> None:
        self.path = file.path
        self.rejected: list[Rejected] = file.rejected
        self.rejects = 0
        self._file = file
        self._days = days

    def rows(self, chunk: int) -> Iterator[list[LabelledRow]]:
        end = None
        for rows in self._file.rows(chunk):
            times = [row.at for row in rows if row.at is not None]
            if end is None and times:
                end = times[0] // DAY_S * DAY_S + self._days * DAY_S
            kept = [row for row in rows if row.at is None or end is None or row.at < end]
            if kept:
                yield kept
            if len(kept) < len(rows):
                return


def through_cardwatch(path: Path, options: Options, days: int | None, folder: Path) -> None:
    """Evaluate ``path`` and keep in ``folder`` what the model saw and said, in the order of the transactions."""
    rows: list[NDArray[np.float32]] = []

    def watch(record: Scored, model: object) -> None:
        rows.append(record.matrix().astype(np.float32))

    file = TransactionFile(path)
    played = play(file if days is None else FirstDays(file, days), new_bank(start(), watch), options, LeftOut())
    folder.mkdir(parents=True, exist_ok=True)
    features = np.lib.format.open_memmap(
        folder / f"{FEATURES_FILE}.part", "w+", np.float32, (sum(map(len, rows)), len(NAMES))
    )
    at = 0
    for part in rows:
        features[at : at + len(part)] = part
        at += len(part)
    features.flush()
    (folder / f"{FEATURES_FILE}.part").replace(folder / FEATURES_FILE)
    columns = {name: array for name, array in played.transactions._asdict().items() if name != "kinds"}
    np.savez(folder / TRANSACTIONS_FILE, kinds=np.array(played.transactions.kinds), midnight=played.midnight, **columns)


def kept_stream(folder: Path, options: Options) -> Stream | None:
    """What `through_cardwatch` kept in ``folder``; the matrix stays on disk until it is asked for. None: nothing."""
    if not (folder / TRANSACTIONS_FILE).is_file() or not (folder / FEATURES_FILE).is_file():
        return None
    with np.load(folder / TRANSACTIONS_FILE) as kept:
        columns = {name: kept[name] for name in Transactions._fields if name != "kinds"}
        transactions = Transactions(**columns, kinds=tuple(kept["kinds"].tolist()))
        midnight = float(kept["midnight"])
    folds = cut(transactions, midnight, options.folds, options.pace.label_delay_s)
    return Stream(transactions, folds, np.load(folder / FEATURES_FILE, mmap_mode="r"), midnight)


def in_unit(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The rows in the scale that Cardwatch gives a model which learns without labels, float64[n, M] in 0…1, nothing
    missing."""
    return np.concatenate(
        [UNIT.unit(features[at : at + UNIT_ROWS].astype(np.float64)) for at in range(0, len(features), UNIT_ROWS)]
    )


def all_in_unit(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same with what labels say beside it, each x as x / (1 + x), 0 where nothing is known."""
    said = np.maximum(np.nan_to_num(features[:, LABEL_DERIVED].astype(np.float64), nan=0.0), 0.0)
    return np.hstack([in_unit(features), said / (1.0 + said)])
