"""The scores of every transaction as CSV: ``id,score,percentile,outcome``."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.decision import Outcome
from pipeline.lab.evaluate.bank import Judged

COLUMNS = ("id", "score", "percentile", "outcome")
_NAMES = tuple(outcome.name for outcome in Outcome)


class ScoreFile:
    """Lines in the order of the transactions, numbers as long as they need to be read back to the bit."""

    def __init__(self, out: Path) -> None:
        self._file = out.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def add(self, judged: Judged) -> None:
        outcomes = (_NAMES[outcome] for outcome in judged.outcome.tolist())
        self._rows.writerows(zip(judged.ids, judged.score.tolist(), judged.percentile.tolist(), outcomes, strict=True))

    def close(self) -> None:
        self._file.close()


@contextmanager
def score_file(out: Path | None) -> Iterator[ScoreFile | None]:
    """A `ScoreFile` at ``out``, closed in the end; None where none is wanted. Raises OSError when it can't be written."""
    file = None if out is None else ScoreFile(out)
    try:
        yield file
    finally:
        if file is not None:
            file.close()
