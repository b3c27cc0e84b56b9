"""An archive in memory of what a learner was fed, and the asking for its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from labelled_world import row_record
from learner_world import SPACE, Entry

from pipeline.core.scored import decode
from pipeline.ports_archive import PastRow, Sought
from pipeline.roles.learner.course import Course

TILLS = ("a", "b", "c")


@dataclass
class MemoryPast:
    """The Past port. ``asked``: all that was asked for; ``failures`` are raised by the next calls."""

    known: dict[str, PastRow] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: list[OSError] = field(default_factory=list)

    def archive(self, record: Entry, layout: str = SPACE.layout) -> Entry:
        """Take in a record of `scored` whose entities are `TILLS`, see `rows_of`."""
        scored = decode(record.value or b"")
        for row, (name, offset) in enumerate(zip(scored.ids, scored.source_offsets().tolist(), strict=True)):
            self.known[name] = PastRow(
                scored.partition, offset, float(scored.event_times()[row]), float(scored.percentiles()[row]),
                (TILLS[offset % len(TILLS)], None, scored.cards[row]), layout, scored.matrix()[row],
            )  # fmt: skip
        return record

    def rows(self, sought: Sequence[Sought]) -> list[PastRow | None]:
        self.asked.extend(each.transaction for each in sought)
        if self.failures:
            raise self.failures.pop(0)
        return [self.known.get(each.transaction) for each in sought]


def rows_of(number: int, size: int = 17) -> Entry:
    """The record of `scored` at this offset: the next ``size`` rows."""
    return row_record(number * size, size, number, terminals=TILLS)


def fetch(course: Course, past: MemoryPast) -> None:
    """Have all rows that are wanted."""
    while wanted := course.wanted():
        found = past.rows([one.sought for one in wanted.values()])
        course.fetched(dict(zip(wanted, found, strict=True)))
