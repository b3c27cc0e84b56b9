"""The learner's two inputs side by side: what was scored, and what became known of it, in the order of their time.

A label is taken in when what was scored up to its time is: so a learner that reads yesterday's log again meets labels
among the rows they came among then. At the end of `scored` none has to wait.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from heapq import merge
from typing import NamedTuple

from pipeline.core.topics import Topic
from pipeline.ports import Clock, Poll, Reader, Record
from pipeline.roles.learner.control import LogSilent
from pipeline.roles.learner.course import Course

EVERYTHING_MS = 1 << 62
LABELS_TOGETHER = 256
"""Learned at once, so that there is room for what they may want of the archive."""
LIVE_MS = 10_000
"""What was scored less than so long ago is the present, in which nothing said is held back: clocks differ by some
seconds, and a NO protects the next cards at once."""


def up_to(scored_ms: int, now_ms: float) -> int:
    """Up to which time of the log labels are taken in, ahead of a record of `scored` of this time."""
    return EVERYTHING_MS if now_ms - scored_ms < LIVE_MS else scored_ms


def in_order(poll: Poll) -> Iterable[Record]:
    """The records of all partitions by the log's time, each partition's in its own order."""
    return merge(*poll.values(), key=lambda record: record.timestamp)


class LabelsRead:
    """``labels``, held back until their time has come; then ``also`` hears of them, too."""

    def __init__(self, reader: Reader, also: Callable[[Record], None] | None = None) -> None:
        self._reader = reader
        self._also = also
        self._held: deque[Record] = deque()

    async def hear(self, course: Course, up_to_ms: int) -> None:
        """Take in what was said up to the log's time ``up_to_ms`` and is here, as long as ``course`` has room for it."""
        if not self._held:
            poll = await self._reader.poll(0.0)
            self._held.extend(in_order(poll))
        while self._held and self._held[0].timestamp <= up_to_ms and not course.full:
            due: list[Record] = []
            while self._held and self._held[0].timestamp <= up_to_ms and len(due) < LABELS_TOGETHER:
                due.append(self._held.popleft())
                if self._also is not None:
                    self._also(due[-1])
            course.label_records(due)


class Stretch(NamedTuple):
    """A stretch of a topic to be read once more: partition → first offset, and → the offset after the last."""

    topic: Topic
    first: Mapping[int, int]
    end: Mapping[int, int]


async def read_again(
    reader: Reader,
    stretch: Stretch,
    take: Callable[[Record], None],
    between: Callable[[], Awaitable[bool]],
    clock: Clock,
    poll_s: float,
    silence_s: float,
) -> None:
    """Give every record of ``stretch`` that is still there to ``take``. ``between`` them it is asked whether to go on.
    Raises LogSilent."""
    await reader.start({**stretch.end, **stretch.first})
    ends = await reader.ends()
    behind = {number: min(end, ends.get(number, 0)) for number, end in stretch.end.items()}
    behind = {number: end for number, end in behind.items() if stretch.first.get(number, end) < end}
    heard_at = clock.now()
    while behind and await between():
        poll = await reader.poll(poll_s)
        if poll:
            heard_at = clock.now()
        elif clock.now() - heard_at >= silence_s:
            raise LogSilent(f"topic {stretch.topic.name}: partitions {sorted(behind)} could not be read again")
        for number, records in poll.items():
            for record in records:
                if record.offset < behind.get(number, 0):
                    take(record)
                    if not await between():
                        return
            if records and records[-1].offset + 1 >= behind.get(number, 0):
                behind.pop(number, None)
