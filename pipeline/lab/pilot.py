"""A pilot's plan: how much of an extract warms up profiles and model, and how much is measured; and what is left out."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.lab.evaluate.folds import DAY_S, FoldPlan
from pipeline.lab.evaluate.left_out import LeftOut

WEEK = 7
MOST_WEEKS = 4


def folds_for(days: int) -> FoldPlan:
    """Of ``days``, at most the second half is measured: up to four weeks, or one period where it has no whole week. The
    rest before it goes through the same code unmeasured: history for the profiles, labels for the model."""
    weeks = min(MOST_WEEKS, days // 2 // WEEK)
    return FoldPlan(weeks, WEEK) if weeks else FoldPlan(1, max(1, days // 2))


def days_of(first: float, last: float, midnight: float) -> int:
    """Days touched, unix seconds, from the ``midnight`` before ``first`` on."""
    assert midnight <= first <= last
    return int((last - midnight) // DAY_S) + 1


class ListedLeftOut(LeftOut):
    """`LeftOut` that also writes every row left out into a CSV file, ``row,reason,detail``."""

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._file = None if path is None else path.open("w", newline="", encoding="utf-8")
        self._out = None if self._file is None else csv.writer(self._file)
        if self._out is not None:
            self._out.writerow(("row", "reason", "detail"))

    def add(self, number: int, reason: str, detail: str, unit: str = "row") -> None:
        super().add(number, reason, detail, unit)
        if self._out is not None:
            self._out.writerow((number, reason, detail))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
