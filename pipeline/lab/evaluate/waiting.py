"""Labels on their way: each arrives a fixed time after its transaction, those of called cards the next morning."""

from collections import deque
from collections.abc import Sequence
from heapq import nlargest
from itertools import takewhile
from typing import Final, NamedTuple

from pipeline.lab.evaluate.bank import Known
from pipeline.lab.evaluate.folds import DAY_S, NEVER_S

MORNING_S = 8 * 3_600.0
"""After midnight: what the day's calls found out is known then."""
CALLED: Final = "cardholder"
LATE: Final = "chargeback"
"""Sources, as in a record of ``labels``."""


class Truth(NamedTuple):
    """What a label will say of a transaction at ``at``; ``score`` decides who is called."""

    transaction: str
    card: str
    fraud: bool
    kind: str | None
    at: float
    score: float


class Waiting:
    """Labels that nobody knows yet: those of the last ``delay_s``, and with calls those of a day, so memory stays flat.

    With ``calls_per_day`` k the k cards with the highest score of a day (the first seen of equals) are called when it
    ends; ``midnight`` is the beginning of the first day, unix seconds.
    """

    def __init__(self, delay_s: float, calls_per_day: int, midnight: float) -> None:
        self._delay_s = delay_s
        self._calls = calls_per_day
        self._late: deque[Truth] = deque()
        self._frauds: deque[float] = deque()
        self._day_end = midnight + DAY_S
        self._today: list[Truth] = []
        self._called: deque[tuple[float, list[Truth]]] = deque()
        self._told: set[str] = set()
        self.calls = 0

    def __len__(self) -> int:
        """Transactions whose label nobody knows yet."""
        return len(self._late)

    def next_fraud(self) -> float:
        """When the next label of a fraud arrives; infinity when none waits."""
        late = self._frauds[0] if self._frauds else float("inf")
        return min(late, self._called[0][0]) if self._called else late

    def next_day(self) -> float:
        """When the day ends, if there is anybody to call."""
        return self._day_end if self._calls else float("inf")

    def add(self, truths: Sequence[Truth]) -> None:
        if self._delay_s == NEVER_S:
            return
        self._late.extend(truths)
        self._frauds.extend(truth.at + self._delay_s for truth in truths if truth.fraud)
        if self._calls:
            self._today.extend(truths)

    def end_day(self) -> None:
        """Call today's riskiest cards: what they say is known in the morning."""
        riskiest: dict[str, float] = {}
        for truth in self._today:
            riskiest[truth.card] = max(truth.score, riskiest.get(truth.card, float("-inf")))
        chosen = set(nlargest(self._calls, riskiest, key=riskiest.__getitem__))
        told = [truth for truth in self._today if truth.card in chosen]
        morning = self._day_end + MORNING_S
        sooner = [truth for truth in told if truth.at + self._delay_s > morning]
        if sooner:
            self._called.append((morning, sooner))
            self._told.update(truth.transaction for truth in sooner)
        self.calls += len(chosen)
        self._today = []
        self._day_end += DAY_S

    def arrived(self, now: float) -> list[Known]:
        """The labels that have arrived by ``now`` and were not handed out before, in order of arrival."""
        known = []
        while self._called and self._called[0][0] <= now:
            morning, told = self._called.popleft()
            known += [Known(truth.transaction, truth.card, truth.fraud, truth.kind, morning, CALLED) for truth in told]
        due = sum(1 for _ in takewhile(lambda truth: truth.at + self._delay_s <= now, self._late))
        for truth in (self._late.popleft() for _ in range(due)):
            if truth.transaction in self._told:
                self._told.discard(truth.transaction)
            else:
                at = truth.at + self._delay_s
                known.append(Known(truth.transaction, truth.card, truth.fraud, truth.kind, at, LATE))
        while self._frauds and self._frauds[0] <= now:
            self._frauds.popleft()
        return sorted(known, key=lambda label: label.at)
