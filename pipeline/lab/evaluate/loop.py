"""Transactions, labels and ticks, merged by event time.

Everything that changes how a transaction is scored happens at a moment of event time, never at an edge of a chunk:
so it does not matter how rows are read. Before a transaction is scored, all that lies at or before its time is done: a
label that says fraud has arrived, a day has ended and its riskiest cards are called, a model is put into force. (Labels
that say genuine, thousands an hour, are handed over at the next such moment: at most one tick late, never early.)
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

from pipeline.lab.evaluate.bank import Judged, Known
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.stream import REPEAT, Labelled
from pipeline.lab.evaluate.waiting import Truth, Waiting
from pipeline.ports import MAX_POLL_RECORDS

_at = attrgetter("at")


class Scoring(Protocol):
    """What the loop drives: `pipeline.lab.evaluate.bank.Bank`."""

    def score(self, chunk: Sequence[Labelled]) -> Judged: ...
    def labels(self, labels: Sequence[Known]) -> None: ...
    def tick(self, at: float) -> None: ...


class Pace(NamedTuple):
    """Seconds of event time: how late labels come, how often a model may change; cards called a day."""

    label_delay_s: float
    tick_s: float
    calls_per_day: int = 0


class Clockwork:
    """The moments between transactions. ``first``: the first transaction's time, ``midnight`` its day's beginning."""

    def __init__(self, bank: Scoring, pace: Pace, first: float, midnight: float) -> None:
        self._bank = bank
        self._tick_s = pace.tick_s
        self._tick = midnight + ((first - midnight) // pace.tick_s + 1) * pace.tick_s
        self._waiting = Waiting(pace.label_delay_s, pace.calls_per_day, midnight)

    @property
    def calls(self) -> int:
        """Cards called so far."""
        return self._waiting.calls

    @property
    def waiting(self) -> int:
        """Labels not known to anybody yet."""
        return len(self._waiting)

    def next(self) -> float:
        """The next moment at which anything but a transaction happens."""
        return min(self._tick, self._waiting.next_fraud(), self._waiting.next_day())

    def turn_to(self, at: float) -> None:
        """Do all that happens up to and at ``at``: labels first, then the day's end, then the tick."""
        while (moment := self.next()) <= at:
            known = self._waiting.arrived(moment)
            if known:
                self._bank.labels(known)
            if moment == self._waiting.next_day():
                self._waiting.end_day()
            if moment == self._tick:
                self._bank.tick(moment)
                self._tick += self._tick_s

    def saw(self, chunk: Sequence[Labelled], judged: Judged) -> None:
        """The truth about what was just scored will be told in its time."""
        places, scores = judged.place.tolist(), judged.score.tolist()
        lines = zip(judged.ids, judged.cards, places, scores, judged.exempt.tolist(), strict=True)
        self._waiting.add(
            [
                Truth(id_, card, chunk[place].fraud, chunk[place].kind, chunk[place].at, score)
                for id_, card, place, score, exempt in lines
                if not exempt
            ]
        )


def drive(
    chunks: Iterable[Sequence[Labelled]],
    bank: Scoring,
    pace: Pace,
    midnight_of: Callable[[Labelled], float],
    keep: Callable[[Sequence[Labelled], Judged], None],
    left_out: LeftOut,
) -> Clockwork | None:
    """Take ``chunks`` through ``bank``; ``keep`` is handed every piece with what became of it. ``midnight_of`` the
    first row: where its day began. None: there was no row."""
    clockwork = None
    for chunk in chunks:
        if clockwork is None:
            clockwork = Clockwork(bank, pace, chunk[0].at, midnight_of(chunk[0]))
        start = 0
        while start < len(chunk):
            clockwork.turn_to(chunk[start].at)
            end = bisect_left(chunk, clockwork.next(), start + 1, min(len(chunk), start + MAX_POLL_RECORDS), key=_at)
            piece = chunk[start:end]
            judged = bank.score(piece)
            clockwork.saw(piece, judged)
            _note(piece, judged, left_out)
            keep(piece, judged)
            start = end
    return clockwork


def _note(piece: Sequence[Labelled], judged: Judged, left_out: LeftOut) -> None:
    for place, reason, detail in judged.refused:
        left_out.add(piece[place].number, reason, detail)
    if len(piece) > len(judged.place) + len(judged.refused):
        done = {*judged.place.tolist(), *(place for place, _, _ in judged.refused)}
        for place, row in enumerate(piece):
            if place not in done:
                left_out.add(row.number, REPEAT, "repeats a transaction of its card by id")
