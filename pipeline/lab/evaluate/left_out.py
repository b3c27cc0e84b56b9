"""Rows that were not evaluated, and why."""

from collections import Counter

MAX_TOLD = 20
"""Rows left out that are told one by one; all are counted."""


class LeftOut:
    """Rows that were not evaluated: ``reasons`` counts them all, ``told`` describes the first."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.told: list[str] = []

    def add(self, number: int, reason: str, detail: str, unit: str = "row") -> None:
        self.reasons[reason] += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(f"{unit} {number}: {detail}")

    @property
    def rows(self) -> int:
        return self.reasons.total()
