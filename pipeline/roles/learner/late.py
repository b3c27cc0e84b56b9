"""Labels that come when the transaction they speak of has left the learner's memory: its row is had from the archive.

A label takes effect when its row is found, which other labels do not wait for; rows are asked for in the order of their
labels, and learned in that order. What was learned of such a row before is known from what held of it before the label:
as that, or, where nothing did and the row was kept until it was too old, as one without a label. That is exact where no
row is thinned out or left out for a log that is too busy, and right on average where some are: those that stood for
others were learned so many times over.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import numpy as np
import structlog

from pipeline.core.entities import digest_of
from pipeline.core.entity_ledger import NO_RECORD
from pipeline.core.features import KINDS
from pipeline.core.label_book import Verdict
from pipeline.core.records import Label
from pipeline.ports_archive import Past, PastRow, Sought
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.waiting import FRAUD, GENUINE, UNKNOWN, UNLABELLED, Arrived, Waited, Waiting

MOST_SOUGHT: Final = 2_000
"""Transactions whose row is asked for; at so many, no further label is taken in. A snapshot names them, by some six
bytes each."""
AT_ONCE: Final = 1_000
"""Asked for together: the files of the archive are gone through once for all of them."""
MOST_FOUND: Final = 20_000
"""Rows kept for what is said of them next, a kilobyte each; one that is gone is asked for again."""
MOST_UNFOUND: Final = 100_000
END_S: Final = 5.0
_SEGMENT_ROWS = 256

_log = structlog.get_logger(__name__)


Place = tuple[int, int]
"""Partition and offset."""


class Wanted(NamedTuple):
    """``before``: what held of the transaction before this was said, and ``holds``: since; ``places``: partition and
    offset of each label that waits for its row."""

    sought: Sought
    before: Verdict | None
    holds: Verdict | None
    places: tuple[Place, ...]


class LateRows:
    """Rows asked for, and rows found, by the digest of their id. ``columns``: how many features a row has."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._wanted: dict[int, Wanted] = {}
        self._newer, self._older = self._room(), self._room()
        self._unfound: dict[int, None] = {}

    def __len__(self) -> int:
        """Rows asked for."""
        return len(self._wanted)

    @property
    def full(self) -> bool:
        return sum(len(one.places) for one in self._wanted.values()) >= MOST_SOUGHT

    def find(self, key: int) -> Waited | None:
        """The row, if it was found lately."""
        return self._newer.find(key, 0.0) or self._older.find(key, 0.0)

    def want(self, key: int, label: Label, before: Verdict | None, holds: Verdict | None, place: Place) -> None:
        """Ask for the row of which ``label`` at ``place`` speaks. What it was learned as is what held before the first of
        those that wait; nothing, where no row was found for what was said before."""
        wanted = self._wanted.get(key)
        if wanted is None:
            sought = Sought(label.transaction, label.card)
            wanted = Wanted(sought, None if key in self._unfound else before, holds, ())
        self._wanted[key] = wanted._replace(holds=holds, places=(*wanted.places, place))

    def next(self) -> dict[int, Wanted]:
        """Those to be asked for now, in the order of their labels."""
        return {key: self._wanted[key] for key in list(self._wanted)[:AT_ONCE]}

    def found(self, key: int, row: PastRow | None, aged_before: float) -> tuple[Waited | None, Verdict | None]:
        """``row`` is what the archive has of a transaction that was wanted; with what holds of it. It was taken for
        genuine for want of a label if it is older than ``aged_before``."""
        wanted = self._wanted.pop(key)
        if row is None:
            self._unfound[key] = None
            if len(self._unfound) > MOST_UNFOUND:
                del self._unfound[next(iter(self._unfound))]
            return None, wanted.holds
        self._unfound.pop(key, None)
        if len(self._newer) >= MOST_FOUND // 2:
            self._newer, self._older = self._room(), self._newer
        self._newer.add(_arrived(key, row), *NO_RECORD)
        deque(
            self._newer.matured(aged_before), maxlen=0
        )  # marked: taken for genuine again, should a label be withdrawn
        found = self._newer.find(key, 0.0)
        assert found is not None
        found.learned = _learned_before(wanted.before, row.at < aged_before)
        return found, wanted.holds

    def sought(self) -> dict[int, tuple[int, ...]]:
        """Partition → offsets of the labels that wait for their row."""
        places = sorted(place for wanted in self._wanted.values() for place in wanted.places)
        return {number: tuple(at for partition, at in places if partition == number) for number, _ in places}

    def _room(self) -> Waiting:
        return Waiting(self._columns, float("inf"), 1 << 62, _SEGMENT_ROWS)


def _learned_before(before: Verdict | None, aged: bool) -> tuple[int, float]:
    """As what a row was learned, and how surely, when ``before`` held of it."""
    if before is not None:
        return (FRAUD if before.fraud else GENUINE), before.confidence
    return (UNLABELLED if aged else UNKNOWN), 1.0


def _arrived(key: int, row: PastRow) -> Arrived:
    entities = np.array([[digest_of(text) for text in row.entities]], np.uint64)
    assert entities.shape == (1, len(KINDS))
    one = np.array([key], np.uint64), np.array([row.at]), np.array([row.percentile])
    return Arrived(*one, entities, row.features.reshape(1, -1))


class LateCourse(Protocol):
    """Of the learner's course what `Fetching` asks."""

    def wanted(self) -> dict[int, Wanted]:
        """Rows to be asked for now, by the digest of their id."""

    def fetched(self, rows: Mapping[int, PastRow | None]) -> None:
        """These are the rows that were wanted."""


class Fetching:
    """Asks ``past`` for rows, beside the learner's loop; without ``past`` there is nothing to ask."""

    def __init__(self, past: Past | None, metrics: LearnerMetrics) -> None:
        self._past = past
        self._metrics = metrics
        self._asked: dict[int, Wanted] = {}
        self._asking: asyncio.Task[list[PastRow | None]] | None = None

    def turn(self, course: LateCourse) -> None:
        """Hand over what has come, and ask for what is wanted next. Call it between two records."""
        if self._past is None:
            return
        if self._asking is not None and self._asking.done():
            asking, self._asking = self._asking, None
            course.fetched(dict(zip(self._asked, self._answer(asking), strict=True)))
        if self._asking is None and (asked := course.wanted()):
            self._asked = asked
            sought = [one.sought for one in asked.values()]
            self._asking = asyncio.create_task(asyncio.to_thread(self._past.rows, sought))

    def _answer(self, asking: asyncio.Task[list[PastRow | None]]) -> list[PastRow | None]:
        """An archive that cannot be read has no row: fresh labels must not wait for its disk."""
        try:
            return asking.result()
        except OSError as error:
            self._metrics.late.labels("failed").inc(len(self._asked))
            _log.error("learner: late labels are not learned: the archive cannot be read", error=str(error))
            return [None] * len(self._asked)

    async def end(self) -> None:
        """Wait for what is being asked, a few seconds, and let go of it."""
        asking, self._asking = self._asking, None
        if asking is not None:
            await asyncio.wait({asking}, timeout=END_S)
