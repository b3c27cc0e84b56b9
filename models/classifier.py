"""A classifier that learns from every label: bins the data chose, their crosses, River's logistic regression, calibrated.

Rows are told twice: when they are scored (`Classifier.observe`, for the bins, labels unknown), and again with the
features of that moment when a label becomes known (`learn`). The bins settle at the first label; from then on the model
is two arrays of numbers that learning moves.

Rows that looked like fraud are learned again (`models.replay`); what is said is said by a mean of weights (`models.average`).

Beside the whole model stands a small one that sees only what the card did, none of what labels say of others
(`explained`): how far a fraud gives itself away.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.average import Average
from models.before import Before
from models.binning import MAX_KNOTS, Bins, Column, Sample, usual_of
from models.calibration_online import Calibration, probability
from models.logistic import Logistic, Slots, Terms, learn, log_odds_of, shares_of_log_odds
from models.logistic_constants import INTERCEPT
from models.replay import STATE_BYTES, SUSPICIOUS, Replay

Floats = NDArray[np.float64]
State = dict[str, NDArray[np.generic]]

KIND: Final = "binned-logistic"
ROWS_TO_SETTLE: Final = 1_000
"""With fewer rows seen, labels are not learned from: no bins can be told from so few."""
MAX_COLUMNS: Final = 256


class Classifier:
    """Over the columns ``columns``; matrices are float64[n, M] in their order, NaN a missing value. Not thread-safe."""

    kind = KIND

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.sample = Sample(len(self.columns))
        self.calibration = Calibration()
        self.learned = 0
        self.frauds = 0
        self.usual = np.full(len(self.columns), np.nan)
        """What most rows hold, float64[M]: half of them less (the commonest code of a category), NaN where most hold
        nothing. Known once the bins are settled."""
        self._silent: NDArray[np.bool_] = np.zeros(len(self.columns), dtype=np.bool_)
        """Columns that no row of the sample had a value of, bool[M]: that a row has none says nothing. (Learned all the
        same, it would only be the bias once more, and each of these moves it faster.)"""
        self._bins: Bins | None = None
        self._whole: Logistic
        self._average: Average
        self._habits: Logistic
        self._replay: Replay

    @property
    def settled(self) -> bool:
        """Whether the bins are chosen: before, every row has the same score."""
        return self._bins is not None

    def observe(self, matrix: Floats) -> None:
        """Rows as they are scored: what the bins are chosen from. Costs nothing once they are."""
        if self._bins is None:
            self.sample.add(self._checked(matrix))

    def scores(self, matrix: Floats) -> Floats:
        """Probability of fraud of each row, float64[n]; does not depend on the other rows, to the bit."""
        return self.calibration.of(self.log_odds(matrix))

    def log_odds(self, matrix: Floats) -> Floats:
        """What `scores` calibrates, float64[n]."""
        matrix = self._checked(matrix)
        if self._bins is None:
            return np.full(len(matrix), INTERCEPT)
        return log_odds_of(self._average.saying, *self._bins.arrays, matrix)

    def explained(self, matrix: Floats) -> Floats:
        """Probability of fraud by the columns that are not label-derived alone, float64[n], uncalibrated."""
        matrix = self._checked(matrix)
        if self._bins is None:
            return np.zeros(len(matrix))
        return probability(log_odds_of(self._habits, *self._bins.arrays, matrix))

    def learn(self, matrix: Floats, labels: Floats, weights: Floats | None = None) -> Floats:
        """As `teach`; ``weights`` 1 without. Returns what was said of each row, float64[n]."""
        return self.teach(matrix, labels, np.ones(len(matrix)) if weights is None else weights).said

    def teach(self, matrix: Floats, labels: Floats, weights: Floats) -> Before:
        """Learn rows in the order their labels became known: ``labels`` float64[n], 0 or 1; ``weights`` float64[n], below
        0 to take back. Learning in parts is learning at once, to the bit, and so is what comes back: of each row what
        was said just before it was learned."""
        weights = np.ascontiguousarray(weights, dtype=np.float64)
        labels = np.ascontiguousarray(labels, dtype=np.float64)
        matrix = self._checked(matrix)
        if not len(matrix) == len(labels) == len(weights):
            raise ValueError(f"{len(matrix)} rows, {len(labels)} labels, {len(weights)} weights: not as many of each")
        if not ((labels == 0.0) | (labels == 1.0)).all() or not np.isfinite(weights).all():
            raise ValueError("labels are 0 or 1, weights are numbers")
        if self._bins is None and not self._settle():
            return Before(self.calibration.of(np.full(len(matrix), INTERCEPT)), np.zeros(len(matrix)))
        assert self._bins is not None
        encoded = self._bins.encode(matrix)
        explained = probability(learn(self._habits, *encoded, labels, weights))
        before = self._learn_whole(matrix, encoded, labels, weights)
        said = self.calibration.learn(before, labels, weights)
        counted = np.sign(weights)
        self.learned = max(self.learned + int(counted.sum()), 0)
        self.frauds = max(self.frauds + int((labels * counted).sum()), 0)
        return Before(said, explained)

    def _learn_whole(self, matrix: Floats, encoded: tuple[Slots, Floats], labels: Floats, weights: Floats) -> Floats:
        """Row after row, each suspicious one followed by kept ones that are due. Returns the log-odds before, float64[n]."""
        slots, shares = encoded
        before = np.empty(len(matrix))
        ends = [*np.flatnonzero(np.diff(weights < 0.0)) + 1, len(matrix)]  # where rows taken back begin or end
        at = 0
        for end in ends:
            while at < end:
                part = slice(at, at + 1 if weights[at] < 0.0 else min(at + self._average.due, end))
                z = learn(self._whole, slots[part], shares[part], labels[part], weights[part], SUSPICIOUS)
                before[at : at + len(z)] = z
                at += len(z)
                self._after(matrix[at - 1], float(z[-1]), float(labels[at - 1]), float(weights[at - 1]))
                self._average.after(len(z))
        return before

    def _after(self, row: Floats, z: float, label: float, weight: float) -> None:
        """``row`` was learned, of log-odds ``z`` before, or taken back."""
        if weight < 0.0:
            self._replay.drop(row, label)
        elif z > SUSPICIOUS and weight > 0.0:
            assert self._bins is not None
            rows, labels, weights = self._replay.due()
            learn(self._whole, *self._bins.encode(rows), labels, weights)
            self._replay.keep(row, label, weight)

    def unlearn(self, matrix: Floats, labels: Floats, weights: Floats | None = None) -> None:
        """Take back labels that were wrong: one step against the gradient they would have now, River's ``learn_one``
        with the weight turned negative. What they moved is not found again to the bit; that they moved it is undone."""
        weights = np.ones(len(matrix)) if weights is None else weights
        self.learn(matrix, labels, -np.asarray(weights, dtype=np.float64))

    def contributions(self, matrix: Floats) -> dict[str, Floats]:
        """What each group of columns adds to the log-odds of each row, float64[n] a group; a cross of two groups goes
        half to each. With `base` they add up to `log_odds`, but for rounding."""
        matrix = self._checked(matrix)
        told = {column.group: np.zeros(len(matrix)) for column in self.columns}
        for column, share in zip(self.columns, self.by_column(matrix).T, strict=True):
            told[column.group] += share
        return told

    def by_column(self, matrix: Floats) -> Floats:
        """The same for each column, float64[n, M]; a row's shares do not depend on the other rows, to the bit."""
        matrix = self._checked(matrix)
        width = len(self.columns)
        if self._bins is None:
            return np.zeros((len(matrix), width))
        shares = shares_of_log_odds(self._average.saying, *self._bins.encode(matrix))
        told: Floats = shares[:, :width].copy()
        told[:, self._bins.source[width:]] += shares[:, width:]
        return told

    @property
    def base(self) -> float:
        """Log-odds of a row of which nothing is known."""
        return INTERCEPT + (float(self._average.saying.weights[0]) if self._bins is not None else 0.0)

    def dump(self) -> State:
        """All of it as plain arrays, below 1 MB: `load` scores and learns as this would. Texts are left out: of the names
        nothing is, of the groups which columns are of one."""
        c = self.calibration
        state: State = {
            "calibration": np.array([c.intercept, c.slope, c.aa, c.ab, c.bb]),
            "counts": np.array([self.learned, self.frauds, self.sample.seen, self.sample.stride], dtype=np.float64),
            **_as_numbers(self.columns),
        }
        if self._bins is None:
            return state | {"sample": self.sample.rows.copy()}  # float32: half as large, and missing where it was
        bins = self._bins
        return state | {
            "starts": bins.starts.astype(np.float64),
            "knots": bins.knots.copy(),
            "silent": self._silent.astype(np.float64),
            "usual": self.usual.astype(np.float32),  # as the sample is: nothing is lost
            "weights": self._whole.weights.copy(),
            "squares": self._whole.squares.copy(),
            "habit_weights": self._habits.weights.copy(),
            "habit_squares": self._habits.squares.copy(),
            **self._average.dump(),
            **self._replay.dump(),
        }

    @classmethod
    def load(cls, state: Mapping[str, NDArray[np.generic]]) -> Self:
        """The classifier that was dumped as ``state``; columns and groups are called by their numbers. Raises ValueError
        when it is none."""
        try:
            self = cls(_from_numbers(state))
            calibration = [float(value) for value in state["calibration"]]
            counts = [int(value) for value in state["counts"]]
            self.calibration = Calibration(*calibration)
            self.learned, self.frauds, self.sample.seen, self.sample.stride = counts
            if "sample" in state:
                self.sample.rows = np.array(state["sample"], dtype=np.float32)
                if (
                    self.sample.rows.ndim != 2
                    or self.sample.rows.shape[1] != len(self.columns)
                    or self.sample.stride < 1
                ):
                    raise ValueError("a sample of other columns")
            else:
                self._open(state)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a classifier's state: {error}") from error
        if min(counts) < 0 or not np.isfinite(calibration).all() or not 0.2 <= self.calibration.slope <= 5.0:
            raise ValueError("counts or calibration out of range")
        return self

    def _open(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        crossed = [number for number, column in enumerate(self.columns) if column.crossed]
        source = np.array([*range(len(self.columns)), *crossed], dtype=np.int32)
        category = np.array([self.columns[number].category for number in source.tolist()], dtype=np.uint8)
        starts, knots = np.array(state["starts"], dtype=np.int32), np.array(state["knots"], dtype=np.float64)
        self._silent = np.asarray(state["silent"], dtype=np.float64).astype(np.bool_)
        if self._silent.shape != (len(self.columns),):
            raise ValueError("whether it says something to have no value is not told of every column")
        self._take(Bins(source, starts, knots, category))
        self.usual = np.asarray(state["usual"], dtype=np.float64)
        if self.usual.shape != (len(self.columns),):
            raise ValueError("what is usual is not told of every column")
        self._whole.take(state, "")
        self._habits.take(state, "habit_")
        self._average.take(state)
        self._replay = Replay.load(len(self.columns), self._taken, state)

    def _settle(self) -> bool:
        if self.sample.seen < ROWS_TO_SETTLE:
            return False
        self._silent[:] = np.isnan(self.sample.rows).all(axis=0)
        self._take(Bins.settle(self.columns, self.sample.rows))
        self.usual = usual_of(self.sample.rows, self.columns)
        self.sample.rows = self.sample.rows[:0]
        return True

    def _take(self, bins: Bins) -> None:
        bins.check(self.columns)
        width, sizes = len(self.columns), bins.sizes
        habits = [number for number, column in enumerate(self.columns) if not column.label_derived]
        silent = np.flatnonzero(self._silent).tolist()
        terms = Terms.of(sizes, range(width), range(width, len(sizes)), silent)
        self._habits = Logistic.new(Terms.of(sizes, habits, (), silent))
        self._average = Average(terms, STATE_BYTES - 16 * (terms.count + self._habits.terms.count))
        self._whole = self._average.model
        self._replay = Replay(width, self._taken)
        self._bins = bins

    @property
    def _taken(self) -> int:
        """Bytes of all weights with their sums of squares, and of the average."""
        return 16 * (self._whole.terms.count + self._habits.terms.count) + self._average.values.nbytes

    def _checked(self, matrix: Floats) -> Floats:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.columns):
            raise ValueError(f"the classifier takes {len(self.columns)} columns a row, not shape {matrix.shape}")
        return np.ascontiguousarray(matrix, dtype=np.float64)


def _as_numbers(columns: Sequence[Column]) -> dict[str, Floats]:
    """``columns`` float64[M, 6]: category, label-derived, crossed, number of the group, fine and coarse knots given (−1:
    learned); ``given`` float64[k], those knots in turn."""
    groups = {column.group: number for number, column in enumerate(columns)}
    given = [(column.knots, column.coarse) for column in columns]
    flags = [(column.category, column.label_derived, column.crossed, groups[column.group]) for column in columns]
    counts = [[-1 if knots is None else len(knots) for knots in both] for both in given]
    return {
        "columns": np.hstack([np.array(flags, dtype=np.float64), np.array(counts, dtype=np.float64)]),
        "given": np.array([knot for both in given for knots in both for knot in knots or ()], dtype=np.float64),
    }


def _from_numbers(state: Mapping[str, NDArray[np.generic]]) -> list[Column]:
    """Raises ValueError, KeyError."""
    columns, given = np.asarray(state["columns"], dtype=np.float64), np.asarray(state["given"], dtype=np.float64)
    if columns.ndim != 2 or columns.shape[1] != 6 or not 1 <= len(columns) <= MAX_COLUMNS:
        raise ValueError("not the columns of a classifier")
    made, at = [], 0
    for number, (category, derived, crossed, group, fine, coarse) in enumerate(columns.astype(np.int64).tolist()):
        knots: list[tuple[float, ...] | None] = []
        for count in (fine, coarse):
            if not -1 <= count <= MAX_KNOTS:
                raise ValueError(f"more than {MAX_KNOTS} knots given")
            knots.append(None if count < 0 else tuple(given[at : at + count].tolist()))
            at += max(count, 0)
        made.append(Column(str(number), str(group), knots[0], knots[1], bool(category), bool(derived), bool(crossed)))
    if at != len(given) or not np.isfinite(given).all():
        raise ValueError("knots given that belong to no column")
    return made
