"""Learning from labels: each finds the row it speaks of, the classifier learns it, the table of entities is kept.

What a row is learned as depends on two things alone: what holds of it (`pipeline.core.label_book`), and whether so much
time has passed that one without a label is taken for genuine. When either changes, what was learned of it is taken back,
and the row learned anew. So a learner that starts again need not be told what its predecessor did: it reads the rows and
labels that still matter once more, and knows.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.labelled_model import LabelledModel, load
from models.progress import Progress
from models.recent import Told
from models.snapshot import Labelled
from pipeline.core.entities import digest_of
from pipeline.core.entity_ledger import NO_RECORD, Cause, EntityLedger
from pipeline.core.label_book import LabelBook, Verdict
from pipeline.core.records import Label
from pipeline.ports_archive import PastRow
from pipeline.roles.learner.late import LateRows, Wanted
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.rivals import Judged, Rivals
from pipeline.roles.learner.waiting import FRAUD, GENUINE, UNKNOWN, UNLABELLED, Arrived, Waited, Waiting, matrix_of

Floats = NDArray[np.float64]

_LABELS = (GENUINE, FRAUD)
_AS = {GENUINE: "genuine", FRAUD: "fraud", UNLABELLED: "unlabelled"}


class Contender(NamedTuple):
    """A challenger: ``make`` a new classifier of it; ``share`` of the transactions that it scores."""

    make: Callable[[], LabelledModel]
    share: float = 1.0


NO_CHALLENGERS: Mapping[str, Contender] = {}


class LabelPlan(NamedTuple):
    """How to learn from labels. ``classifier`` makes a new one for ``columns`` features; ``prior`` the probability by
    percentile that it has to do better than; rows wait ``keep_s`` seconds of event time for their label, within
    ``most_bytes``; after ``maturity_s`` (None: never) one without a label counts as genuine, ``unlabelled_weight`` of
    one with. ``archived``: rows that wait no more can be had from the archive, so each labelled one stands for itself.
    ``challengers`` learn the same beside it."""

    classifier: Callable[[], LabelledModel]
    columns: int
    prior: Callable[[Floats], Floats]
    keep_s: float
    maturity_s: float | None
    unlabelled_weight: float
    most_bytes: int
    archived: bool = False
    challengers: Mapping[str, Contender] = NO_CHALLENGERS


class _Turn(NamedTuple):
    """A row that was ``before`` is ``what`` from now on. ``first``: the first line of what the classifier is taught of it,
    −1: nothing; ``learned``: the line that is not taken back, −1: there is none."""

    row: Waited
    before: int
    what: int
    label: tuple[int, int]
    first: int
    learned: int


class LabelledLearning:
    """What several labels change is gathered first and learned then, in their order: a row's matrix is looked up for all
    at once. It makes no difference how many are gathered: what is told of a row is what was known just before it.

    From the beginning, or from where ``resumed`` was: then `recall` and `recall_label` what it has learned of, and say
    `recalled`, before anything new."""

    def __init__(
        self,
        plan: LabelPlan,
        ledger: EntityLedger,
        metrics: LearnerMetrics,
        resumed: Labelled | None,
        as_of: float,
        rivals: Mapping[str, Labelled] | None = None,
    ) -> None:
        self.reading: dict[int, int] = dict(resumed.labels) if resumed else {}
        self.ledger = ledger
        self.classifier = load(resumed.kind, resumed.numbers) if resumed and resumed.numbers else plan.classifier()
        self.progress = resumed.progress if resumed else Progress()
        self.told = Told()
        self.rivals = Rivals({name: each.make() for name, each in plan.challengers.items()}, rivals or {})
        self._plan = plan
        self._metrics = metrics
        self._as_of = as_of
        self._book = LabelBook()
        self._waiting = Waiting(plan.columns, plan.keep_s, plan.most_bytes)
        self._turns: list[_Turn] = []
        self._rows: list[Waited] = []
        self._weights: list[float] = []
        self._frauds: list[bool] = []
        self._late = LateRows(plan.columns) if plan.archived else None
        self._sought = {(number, at) for number, every in resumed.sought.items() for at in every} if resumed else set()

    def frauds(self, keys: list[int]) -> NDArray[np.bool_]:
        """Which transactions are known to be fraud."""
        return np.array(
            [(holds := self._book.verdict(key)) is not None and holds.fraud for key in keys], dtype=np.bool_
        )

    def arrived(self, rows: Arrived, partition: int, offset: int) -> None:
        """``rows`` were scored, and stand in the record at ``offset``."""
        self._waiting.add(rows, partition, offset)
        self._as_of = max(self._as_of, float(rows.times.max()))
        self.classifier.observe(rows.matrix)
        self.rivals.observe(rows.matrix)
        for key in rows.keys.tolist():
            if key in self._book:
                self._decide(key, self._waiting.find(key, self._as_of))
        for row in self._matured():
            if row.learned[0] == UNKNOWN:
                self._become(row, UNLABELLED, 1.0)
        self.learn_noted()
        self._waiting.forget(self._as_of)
        self._metrics.waits(len(self._waiting), self._waiting.nbytes)

    def label(self, label: Label, place: tuple[int, int] = NO_RECORD) -> None:
        """Take in ``label``, which stands at this partition and offset. Raises Refused when it has no time."""
        self.note(label, place)
        self.learn_noted()

    def note(self, label: Label, place: tuple[int, int] = NO_RECORD) -> None:
        """As `label`, but learned when `learn_noted` is called: before anything else is asked of this."""
        before = None if self._late is None else self._book.verdict(digest_of(label.transaction))
        key = self._book.take(label, *place)
        row = self._waiting.find(key, self._as_of)
        if row is None and self._late is not None:
            row = self._late.find(key)
            if row is None:
                self._late.want(key, label, before, self._book.verdict(key), place)
        elif row is None:
            self._metrics.unmatched.inc()
        self._decide(key, row)
        self._book.forget(self._as_of - self._plan.keep_s)

    @property
    def full(self) -> bool:
        """Whether no further label should be taken in for now."""
        return self._late is not None and self._late.full

    def wanted(self) -> dict[int, Wanted]:
        """Rows that are needed from the archive."""
        if self._late is None:
            return {}
        self._metrics.late_waiting.set(len(self._late))
        return self._late.next()

    def fetched(self, rows: Mapping[int, PastRow | None]) -> None:
        """``rows`` are those that were wanted; None: there is none, or none yet."""
        assert self._late is not None
        aged_before = float("-inf") if self._plan.maturity_s is None else self._as_of - self._plan.keep_s
        for key, past in rows.items():
            row, holds = self._late.found(key, past, aged_before)
            if row is None:
                self._metrics.unmatched.inc()
            elif self._waiting.find(key, self._as_of) is None:
                self._hold(row, self._book.verdict(key) if key in self._book else holds)
        self.learn_noted()

    def part(self) -> Labelled:
        """All of it, for a snapshot."""
        sought = {} if self._late is None else self._late.sought()
        return Labelled(
            kind=self.classifier.kind,
            numbers=self.classifier.dump() if self.classifier.settled else {},
            progress=self.progress,
            labels=dict(self.reading),
            waiting_from=self._waiting.places(),
            labels_from=_earlier(self._book.places(), sought),
            sought=sought,
        )

    # --- after a restart

    def recall(self, rows: Arrived, partition: int, offset: int) -> None:
        """As `arrived`, for what is learned already."""
        self._waiting.add(rows, partition, offset)
        self._waiting.forget(self._as_of)

    def recall_label(self, label: Label, place: tuple[int, int]) -> None:
        """As `label`, for what is learned already, or waits for its row."""
        before = self._book.verdict(digest_of(label.transaction))
        key = self._book.take(label, *place)
        if self._late is not None and place in self._sought:
            self._late.want(key, label, before, self._book.verdict(key), place)

    def recalled(self) -> None:
        """Everything that was learned of is here again."""
        for row in self._matured():
            row.learned = UNLABELLED, 1.0
        for key, holds in self._book.verdicts():
            if (row_there := self._waiting.find(key, self._as_of)) is not None:
                row_there.learned = FRAUD if holds.fraud else GENUINE, holds.confidence

    # --- one row, then all that changed

    def _decide(self, key: int, row: Waited | None) -> None:
        """What holds of this transaction, where that may have changed."""
        if row is not None:
            self._hold(row, self._book.verdict(key))

    def _hold(self, row: Waited, holds: Verdict | None) -> None:
        if holds is not None:
            self._become(row, FRAUD if holds.fraud else GENUINE, holds.confidence)
        else:
            self._become(row, UNLABELLED if row.mature else UNKNOWN, 1.0)

    def _matured(self) -> list[Waited]:
        maturity_s = self._plan.maturity_s
        return [] if maturity_s is None else list(self._waiting.matured(self._as_of - maturity_s))

    def _become(self, row: Waited, what: int, confidence: float) -> None:
        """``row`` is ``what`` from now on; what it was learned as before is taken back."""
        (before, sure), first, learned = row.learned, -1, -1
        if (before, sure) != (what, confidence):
            first = len(self._rows)
            if before != UNKNOWN:
                self._teach(row, before, -self._weight(row, before, sure))
            if what != UNKNOWN:
                learned = len(self._rows)
                self._teach(row, what, self._weight(row, what, confidence))
            row.learned = what, confidence
        self._turns.append(_Turn(row, before, what, self._book.place(row.key), first, learned))

    def _teach(self, row: Waited, what: int, weight: float) -> None:
        self._rows.append(row)
        self._frauds.append(what == FRAUD)
        self._weights.append(weight)

    def _weight(self, row: Waited, what: int, confidence: float) -> float:
        return self._stands_for(row, what) * (self._plan.unlabelled_weight if what == UNLABELLED else confidence)

    def _stands_for(self, row: Waited, what: int) -> float:
        """For how many rows: a labelled one for itself where the archive has those that were thinned out."""
        return 1.0 if self._plan.archived and what != UNLABELLED else row.weight

    def learn_noted(self) -> None:
        """Learn what was noted."""
        if not self._turns:
            return
        said: list[float] = []
        explained: list[float] = []
        if self._rows:
            labels, weights = np.array(self._frauds, dtype=np.float64), np.array(self._weights)
            matrix = matrix_of(self._rows)
            before = self.classifier.teach(matrix, labels, weights)
            self.rivals.teach(matrix, labels, weights)
            said, explained = before.said.tolist(), before.explained.tolist()
        for turn in self._turns:
            self._tell_entities(turn, explained[turn.first] if turn.first >= 0 else 0.0)
        self._judge([turn for turn in self._turns if turn.learned >= 0], said)
        for gathered in (self._turns, self._rows, self._frauds, self._weights):
            gathered.clear()

    def _tell_entities(self, turn: _Turn, explained: float) -> None:
        """The histories of the row's entities know labels, not the want of one. What an earlier learner put down there of
        this transaction holds, whether or not it was learned before this one's snapshot."""
        row, what = turn.row, turn.what
        key = row.key
        before = FRAUD if self.ledger.is_fraud(key) else turn.before
        if before == what or (before not in _LABELS and what not in _LABELS):
            return
        cause, entities, at = Cause(row.place, turn.label), row.entities, row.at
        if before in _LABELS:
            told = self.ledger.explained(key) if before == FRAUD else 0.0
            self.ledger.withdraw(key, entities, at, before == FRAUD, told, cause)
        if what in _LABELS:
            self.ledger.observe(key, entities, at, what == FRAUD, explained if what == FRAUD else 0.0, cause)

    def _judge(self, turns: list[_Turn], said: list[float]) -> None:
        """``said``: the classifier's probability of each line before it was taught."""
        unlearned = len(self._rows) - len(turns)
        if unlearned:
            self._metrics.unlearned.inc(unlearned)
        if not turns:
            return
        percentiles = np.array([turn.row.percentile for turn in turns])
        judged = Judged(
            [turn.what == FRAUD for turn in turns],
            percentiles.tolist(),
            [self._stands_for(turn.row, turn.what) for turn in turns],
            self._plan.prior(percentiles).tolist(),
        )
        lines = [turn.learned for turn in turns]
        told = [said[line] for line in lines]
        self.progress = self.progress.after_all(judged.frauds, judged.percentiles, judged.weights, told, judged.priors)
        self.told.add_all(told, judged.frauds, judged.weights)
        self.rivals.judge(lines, judged)
        self._metrics.losses(self.progress)
        for what, number in Counter(turn.what for turn in turns).items():
            self._metrics.labelled.labels(_AS[what]).inc(number)


def _earlier(places: Mapping[int, int], sought: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Partition → the earlier of its place and what is sought there."""
    return {**places, **{number: min(*at, places.get(number, at[0])) for number, at in sought.items()}}
