"""One file through the bank, and its figures."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from prometheus_client import CollectorRegistry

from models.calibrate import PriorCurve
from pipeline.adapters.transaction_files import LabelledRow, Rejected
from pipeline.core.customer_table import EMPTY_CUSTOMERS, Customers
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Versions
from pipeline.lab.evaluate.bank import Bank, Judged, Watch
from pipeline.lab.evaluate.folds import DAY_S, FoldPlan, cut
from pipeline.lab.evaluate.groups import GroupsSeen
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.loop import Pace, drive
from pipeline.lab.evaluate.measures import measure, measure_together
from pipeline.lab.evaluate.results import FileResult, Speed, over_folds, over_groups
from pipeline.lab.evaluate.score_file import score_file
from pipeline.lab.evaluate.seen import Seen, Transactions
from pipeline.lab.evaluate.stream import BROKEN_LINE, Labelled, in_order
from pipeline.ports import MAX_POLL_RECORDS
from pipeline.roles.learner.course import Course, FeatureSpace, Plan
from pipeline.roles.learner.metrics import LearnerMetrics

EVERYTHING = float("inf")


class Start(NamedTuple):
    """What a bank begins with: day-one versions, the curve to probabilities, how and in which features it learns."""

    versions: Versions
    curve: PriorCurve
    plan: Plan
    space: FeatureSpace


class Options(NamedTuple):
    """How to evaluate. ``cards`` looked at a day for card precision; ``chunk`` rows read at once: of no effect on any
    figure."""

    pace: Pace
    folds: FoldPlan = FoldPlan()
    cards: int = 100
    chunk: int = MAX_POLL_RECORDS


class NothingScored(ValueError):
    """No row of a file could be used: a sentence with the first reasons."""


class RowFile(Protocol):
    """Where labelled rows come from: `TransactionFile`, or a bank's own extract. ``rejected`` and ``rejects`` are whole
    when ``rows`` has come to its end."""

    path: Path
    rejected: list[Rejected]
    rejects: int

    def rows(self, chunk: int) -> Iterator[list[LabelledRow]]: ...


class Played(NamedTuple):
    """A stream that went through: what was seen of it, from which ``midnight`` its days count (unix seconds)."""

    seen: Seen
    transactions: Transactions
    midnight: float
    rows: int
    labels: int
    calls: int
    models: int
    seconds: float


def new_bank(start: Start, watch: Watch | None = None, customers: Customers = EMPTY_CUSTOMERS) -> Bank:
    """A bank that has seen nothing. It learns from every transaction: the rate above which a live learner takes a sample
    is the share of a machine, not of the method."""
    plan = start.plan._replace(max_rate=EVERYTHING)
    course = Course(plan, start.space, 1, LearnerMetrics(CollectorRegistry()), None)
    return Bank(start.versions, course, start.curve, watch, customers)


def play(
    file: RowFile,
    bank: Bank,
    options: Options,
    left_out: LeftOut,
    scores: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Played:
    """Take ``file`` through ``bank``; ``scores`` gets a line for each decision, ``progress`` the rows read so far.
    Raises FileRefused, NothingScored, OSError."""
    seen, rows, midnight = Seen(), 0, 0.0

    def midnight_of(first: Labelled) -> float:
        nonlocal midnight
        midnight = day_begin(first)
        return midnight

    with score_file(scores) as out:

        def keep(piece: Sequence[Labelled], judged: Judged) -> None:
            nonlocal rows
            seen.add(piece, judged)
            if out is not None:
                out.add(judged)
            rows = piece[-1].number
            if progress is not None:
                progress(rows)

        began = time.perf_counter()
        clockwork = drive(in_order(file.rows(options.chunk), left_out), bank, options.pace, midnight_of, keep, left_out)
        seconds = time.perf_counter() - began
    for rejected in file.rejected:
        left_out.add(rejected.line, BROKEN_LINE, rejected.why, "line")
    left_out.reasons[BROKEN_LINE] += file.rejects - len(file.rejected)
    transactions = seen.transactions()
    if clockwork is None or not len(transactions.at):
        raise NothingScored(f"{file.path}: no row could be scored; {'; '.join(left_out.told[:3]) or 'it has none'}")
    return Played(seen, transactions, midnight, rows, bank.labelled, clockwork.calls, bank.models, seconds)


def figures(
    path: Path, played: Played, left_out: LeftOut, options: Options, groups: GroupsSeen | None = None
) -> FileResult:
    """The figures of a stream that went through; ``groups`` of the same. Raises NoFolds."""
    transactions, delay_s = played.transactions, options.pace.label_delay_s
    chosen = cut(transactions, played.midnight, options.folds, delay_s)
    folds = [measure(transactions, fold, options.cards, delay_s) for fold in chosen]
    bought = [groups.bought(fold, transactions.fraud) for fold in chosen] if groups is not None else []
    scored, exempt = len(transactions.at), played.seen.exempt
    rows = scored + exempt + left_out.rows
    return FileResult(
        file=path.name,
        rows=rows,
        scored=scored,
        exempt=exempt,
        left_out={reason: number for reason, number in sorted(left_out.reasons.items()) if number},
        cards=played.seen.cards,
        frauds=int(transactions.fraud.sum()),
        days=int((transactions.at[-1] - played.midnight) // DAY_S) + 1,
        midnight=rfc3339(played.midnight),
        labels=played.labels,
        calls=played.calls,
        models=played.models,
        speed=Speed(played.seconds, rows / played.seconds if played.seconds else 0.0),
        folds=folds,
        over_folds=over_folds(folds, measure_together(transactions, chosen)),
        groups=over_groups(bought),
    )


class _Timed(msgspec.Struct):
    time: str | None = None


def day_begin(first: Labelled) -> float:
    """The midnight before ``first``, in the zone that its own time is written in; unix seconds."""
    try:
        written = msgspec.json.decode(first.value, type=_Timed).time or ""
        ahead = datetime.fromisoformat(written).utcoffset() or timedelta(0)
    except (msgspec.DecodeError, ValueError):  # the first row is refused; the days are then those of UTC
        ahead = timedelta(0)
    seconds = ahead.total_seconds()
    return (first.at + seconds) // DAY_S * DAY_S - seconds
