"""One stretch of archiving, from where the files end until something goes wrong or the process is told to stop."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import structlog

from pipeline.core.archive_columns import ArrivedLabel, Columns, label_columns, scored_columns
from pipeline.core.archive_files import KINDS, MS_PER_DAY, Kind, Piece, Place, day_of, expired, places, to_compact
from pipeline.core.archive_join import PartitionJoin
from pipeline.core.archive_labels import read_label
from pipeline.core.currencies import Money
from pipeline.core.topics import DECISIONS, LABELS, SCORED, TRANSACTIONS, Topic
from pipeline.ports import Clock, Poll, Record
from pipeline.ports_archive import PausableReader, Shelf
from pipeline.roles.archive.metrics import ArchiveMetrics

JOINED = (TRANSACTIONS, SCORED, DECISIONS)
TOPICS = (*JOINED, LABELS)
MAX_WAITING_FILES = 2
"""Rows that wait to be written, in files' worth for each partition; beyond, it is not read."""
MAX_WAITING_ROWS = 200_000
"""Of all partitions, some 1.5 kB each; beyond, the fullest is written, due or not."""
FEW_BYTES = 200_000
"""After fewer it waits for more to come: nobody waits for the archive, and many at a time cost less."""
IDLE_DAY_S = 3_600.0
"""A partition without traffic is taken to have gone on to the next day so long after midnight."""

_log = structlog.get_logger(__name__)


class World(NamedTuple):
    """The ports the archive works on. ``open_reader`` makes a fresh reader of a topic each time."""

    open_reader: Callable[[Topic], PausableReader]
    shelf: Shelf
    clock: Clock
    money: Money


class Pace(NamedTuple):
    """When a file is written: so many rows, or so many seconds after its first row; for how many days files are kept, 0
    for ever. The others, in seconds: how long to wait for records, and after few for more, how often to ask how far the log is, to look after
    the files, and to try again."""

    file_rows: int = 20_000
    file_s: float = 60.0
    keep_days: int = 0
    poll_s: float = 0.5
    gather_s: float = 0.2
    look_s: float = 5.0
    files_s: float = 60.0
    retry_s: float = 2.0


class OutsideLog(Exception):
    """The archive is further than the log: a sentence for the operator."""


class _Queue:
    """One partition's rows of one kind that wait for their file; ``day`` is that of the last one written, ``as_columns``
    makes them what is written."""

    def __init__(self, rows: list[Any], as_columns: Callable[[int, Sequence[Any]], Columns], day: date) -> None:
        self.rows = rows
        self.as_columns = as_columns
        self.day = day
        self.since: float | None = None

    def due(self, now: float, pace: Pace) -> bool:
        if not self.rows:
            self.since = None
            return False
        if self.since is None:
            self.since = now
        return len(self.rows) >= pace.file_rows or now - self.since >= pace.file_s

    def cut(self, pace: Pace, today: date) -> tuple[int, date]:
        """How many rows from the front share a day, and it. No day is later than ``today``: a clock that was wrong once
        must not decide about all that follows."""
        moment_ms = self.rows[0].timestamp_ms
        day = max(self.day, min(day_of(moment_ms), today))
        for count, row in enumerate(self.rows[: pace.file_rows]):
            if row.timestamp_ms // MS_PER_DAY != moment_ms // MS_PER_DAY:
                moment_ms = row.timestamp_ms
                if max(day, min(day_of(moment_ms), today)) != day:
                    return count, day
        return min(len(self.rows), pace.file_rows), day


class ArchiveRun:
    """`start`, then `turn` again and again, or `until`; at last `end`."""

    def __init__(self, world: World, pace: Pace, metrics: ArchiveMetrics) -> None:
        self._world = world
        self._pace = pace
        self._metrics = metrics
        self._readers: dict[Topic, PausableReader] = {}
        self._polling: dict[Topic, asyncio.Task[Poll]] = {}
        self._joins: dict[int, PartitionJoin] = {}
        self._labels: dict[int, list[ArrivedLabel]] = {}
        self._queues: dict[tuple[Kind, int], _Queue] = {}
        self._at_end: dict[Topic, set[int]] = {}
        self._looked_at = self._tidied_at = float("-inf")
        self._kept_on: date | None = None
        self.compacting: asyncio.Task[None] | None = None
        self._left_as_they_are: set[Piece] = set()

    async def start(self) -> None:
        """Raises `OutsideLog`, and what readers and shelf raise."""
        found = {kind: places(self._world.shelf.pieces(kind)) for kind in KINDS}
        for topic in TOPICS:
            kind: Kind = "labels" if topic == LABELS else "scored"
            wanted = {number: _offset(place, topic) for number, place in found[kind].items()}
            numbers = await self._open(topic, wanted)
            for number in numbers:
                place = found[kind].get(number)
                day = place.day if place else date.min
                if topic == TRANSACTIONS:
                    self._joins[number] = PartitionJoin(self._world.money, place, len(numbers))
                    self._queues["scored", number] = _Queue(self._joins[number].ready, scored_columns, day)
                elif topic == LABELS:
                    self._labels[number] = []
                    self._queues["labels", number] = _Queue(self._labels[number], label_columns, day)
        _log.info("archive: writing", partitions=len(self._joins))

    async def _open(self, topic: Topic, wanted: Mapping[int, int]) -> Sequence[int]:
        reader = self._readers[topic] = self._world.open_reader(topic)
        numbers = await reader.start(wanted)
        ends, begun = await reader.ends(), await reader.places()
        for number, offset in wanted.items():
            if offset > ends.get(number, 0):
                raise OutsideLog(
                    f"the archive goes on at offset {offset} of {topic.name}, partition {number}, which ends at "
                    f"{ends.get(number, 0)}: this is another cluster, or its topic was made anew. Give the archive "
                    "another directory, or move its files away"
                )
            if begun[number] > offset and topic in (DECISIONS, LABELS):
                _log.error(
                    "archive: retention was faster; these records are missing from the archive",
                    topic=topic.name, partition=number, first=offset, last=begun[number] - 1,
                )  # fmt: skip
        return numbers

    async def until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.turn()

    async def turn(self) -> None:
        """Take in what has come, write what is due, look after the files now and then."""
        self._hold()
        for topic, reader in self._readers.items():
            if topic not in self._polling:
                self._polling[topic] = asyncio.create_task(reader.poll(self._pace.poll_s))
        done, _ = await asyncio.wait(self._polling.values(), return_when=asyncio.FIRST_COMPLETED)
        came = 0
        for topic in [topic for topic, task in self._polling.items() if task in done]:
            for number, records in self._polling.pop(topic).result().items():
                self._take_in(topic, number, records)
                came += sum(len(record.value or b"") for record in records)
        for join in self._joins.values():
            join.settle()
        now = self._world.clock.now()
        for (kind, number), queue in self._queues.items():
            while queue.due(now, self._pace):
                await self._write(kind, number, queue, now)
        while sum(len(queue.rows) for queue in self._queues.values()) > MAX_WAITING_ROWS:
            (kind, number), queue = max(self._queues.items(), key=lambda each: len(each[1].rows))
            await self._write(kind, number, queue, now)
        await self._look(now)
        if came < FEW_BYTES:
            await asyncio.sleep(self._pace.gather_s)

    async def end(self) -> None:
        tasks = [*self._polling.values(), *([self.compacting] if self.compacting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for reader in self._readers.values():
            await reader.stop()

    # --- taking in

    def _take_in(self, topic: Topic, number: int, records: Sequence[Record]) -> None:
        if topic == LABELS:
            for record in records:
                label = read_label(record)
                if label is None:
                    self._metrics.skipped.labels("unreadable").inc()
                else:
                    self._labels[number].append(label)
            return
        join = self._joins[number]
        {TRANSACTIONS: join.transactions, SCORED: join.scored, DECISIONS: join.decisions}[topic](records)

    def _hold(self) -> None:
        """Where one topic is far ahead of the others, or writing does not keep up, that partition waits."""
        most = MAX_WAITING_FILES * self._pace.file_rows
        ahead = {
            number: (True,) * len(JOINED) if len(join.ready) >= most else join.ahead()
            for number, join in self._joins.items()
        }
        for index, topic in enumerate(JOINED):
            self._readers[topic].hold(number for number, held in ahead.items() if held[index])
        self._readers[LABELS].hold(number for number, labels in self._labels.items() if len(labels) >= most)

    # --- writing

    async def _write(self, kind: Kind, number: int, queue: _Queue, now: float) -> None:
        count, day = queue.cut(self._pace, day_of(int(now * 1000)))
        rows = queue.rows[:count]
        piece = Piece(day, number, rows[0].offset, rows[-1].offset)
        if kind == "scored":
            decisions, scored = self._joins[number].place_after(count)
            piece = piece._replace(decisions=decisions, scored=scored)
        columns = await asyncio.to_thread(queue.as_columns, number, rows)
        await self._world.shelf.write(kind, piece, columns)
        del queue.rows[:count]
        queue.day = day
        if queue.since is not None and now - queue.since < self._pace.file_s:
            queue.since = now  # what remains has only just come
        self._metrics.rows.labels(kind).inc(count)

    # --- looking after

    async def _look(self, now: float) -> None:
        self._tell(now)
        if now - self._looked_at >= self._pace.look_s:
            self._looked_at = now
            for topic in self._readers:
                await self._how_far(topic, now)
        if now - self._tidied_at >= self._pace.files_s:
            self._tidied_at = now
            await self._tidy(now)

    def _tell(self, now: float) -> None:
        waiting = [join.oldest_ms for join in self._joins.values()]
        waiting.extend(labels[0].timestamp_ms for labels in self._labels.values() if labels)
        oldest = min((moment for moment in waiting if moment is not None), default=None)
        self._metrics.age.set(0 if oldest is None else max(0.0, now - oldest / 1000))
        for join in self._joins.values():
            for reason, count in join.skipped.items():
                if count:
                    self._metrics.skipped.labels(reason).inc(count)
                    join.skipped[reason] = 0

    async def _how_far(self, topic: Topic, now: float) -> None:
        reader = self._readers[topic]
        ends, read = await reader.ends(), await reader.places()
        polling = self._polling.get(topic)
        if polling is not None and polling.done():
            return  # what it brings was not taken in
        self._at_end[topic] = {number for number, end in ends.items() if read[number] >= end}
        if topic == SCORED:
            for number in self._at_end[topic]:
                self._joins[number].scored_read_until(int(now * 1000))
        if topic == DECISIONS:
            for number, end in ends.items():
                self._metrics.lag.labels("archive", str(number)).set(max(0, end - read[number]))

    async def _tidy(self, now: float) -> None:
        shelf, today = self._world.shelf, day_of(int(now * 1000))
        if self.compacting is not None and self.compacting.done():
            done, self.compacting = self.compacting, None
            done.result()
        await shelf.tidy(now)
        for kind in KINDS:
            pieces = shelf.pieces(kind)
            if self.compacting is None:
                if self._kept_on != today:
                    for day in expired({each.day for each in pieces}, today, self._pace.keep_days):
                        await shelf.forget(kind, day)
                group = self._next_group(kind, shelf.pieces(kind), now)
                if group:
                    self.compacting = asyncio.create_task(self._compact(kind, group))
            kept = shelf.kept(kind)
            self._metrics.files.labels(kind).set(kept.files)
            self._metrics.bytes.labels(kind).set(kept.bytes)
        self._kept_on = today if self.compacting is None else self._kept_on

    def _next_group(self, kind: Kind, pieces: Iterable[Piece], now: float) -> Sequence[Piece]:
        open_from = {number: self._open_day(of, number, now) for of, number in self._queues if of == kind}
        groups = to_compact(pieces, open_from)
        return next((group for group in groups if self._left_as_they_are.isdisjoint(group)), ())

    def _open_day(self, kind: Kind, number: int, now: float) -> date:
        """The day the partition is in. Without traffic, the calendar tells."""
        queue = self._queues[kind, number]
        topic = LABELS if kind == "labels" else DECISIONS
        waiting = queue.rows or (kind == "scored" and self._joins[number].oldest_ms is not None)
        if waiting or number not in self._at_end.get(topic, ()):
            return queue.day
        return max(queue.day, day_of(int((now - IDLE_DAY_S) * 1000)))

    async def _compact(self, kind: Kind, group: Sequence[Piece]) -> None:
        started = time.perf_counter()
        try:
            await self._world.shelf.compact(kind, group)
        except OSError as error:  # writing goes on beside it; the files stay as they are
            self._left_as_they_are.update(group)
            self._metrics.failures.inc()
            _log.error("archive: a day was not put together", day=group[0].folder, error=str(error))
            return
        self._metrics.compaction.observe(time.perf_counter() - started)
        self._tidied_at = float("-inf")  # the next one at once


def _offset(place: Place, topic: Topic) -> int:
    return {SCORED: place.scored, DECISIONS: place.decisions}.get(topic, place.source)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait ``seconds``, or less if ``stop`` comes."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
