"""The archive's files by name: what each holds, where to go on after it, which of them count.

``scored/day=2026-11-23/p003-000000012345-000000013999-d000000014010-s000000000812.parquet`` holds what was decided in
partition 3 of the transactions at the offsets 12345 to 13999, and nothing else of that partition does. The last two
numbers are offsets in `decisions` and `scored` from which the next file is made; files of labels do without them. No
place is kept anywhere else: to know how far the archive is, one lists it.

A file that lies within another of its partition is one of those that the other was put together from: it no longer
counts, whether or not it is still there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal, NamedTuple

Kind = Literal["scored", "labels"]
KINDS: Final[tuple[Kind, ...]] = ("scored", "labels")

SUFFIX: Final = ".parquet"
UNFINISHED: Final = ".unfinished"
"""At the end of the name of a file that is being written: whoever finds one at its start removes it."""

_NAME = re.compile(r"p(\d{3,})-(\d{12,})-(\d{12,})(?:-d(\d{12,})-s(\d{12,}))?\.parquet")
_FOLDER = re.compile(r"day=(\d{4}-\d\d-\d\d)")


MS_PER_DAY: Final = 86_400_000


class Place(NamedTuple):
    """Where the next file of a partition begins: offsets in `transactions` (of labels: in `labels`), `decisions` and
    `scored`, and the day of the last row."""

    source: int
    decisions: int
    scored: int
    day: date


class Piece(NamedTuple):
    """One file: source offsets ``first`` to ``last`` of ``partition``, arrived on ``day``. ``decisions`` and ``scored``
    None: of labels."""

    day: date
    partition: int
    first: int
    last: int
    decisions: int | None = None
    scored: int | None = None

    @property
    def folder(self) -> str:
        return f"day={self.day.isoformat()}"

    @property
    def name(self) -> str:
        after = "" if self.decisions is None else f"-d{self.decisions:012}-s{self.scored or 0:012}"
        return f"p{self.partition:03}-{self.first:012}-{self.last:012}{after}{SUFFIX}"

    @property
    def place(self) -> Place:
        return Place(self.last + 1, self.decisions or 0, self.scored or 0, self.day)


def folder_day(folder: str) -> date | None:
    """The day of a folder of that name; None for any other folder."""
    found = _FOLDER.fullmatch(folder)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def piece(day: date, name: str) -> Piece | None:
    """The file ``name`` in the folder of ``day``; None for what is no finished file of the archive."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    partition, first, last, decisions, scored = (None if part is None else int(part) for part in found.groups())
    assert partition is not None
    assert first is not None
    assert last is not None
    return Piece(day, partition, first, last, decisions, scored) if first <= last else None


def that_count(pieces: Iterable[Piece]) -> list[Piece]:
    """Those that lie within no other, by partition and offset: each source offset is in one of them at most."""
    kept: list[Piece] = []
    for each in sorted(pieces, key=lambda one: (one.partition, one.first, -one.last, one.day)):
        if not (kept and kept[-1].partition == each.partition and each.last <= kept[-1].last):
            kept.append(each)
    return kept


def places(pieces: Iterable[Piece]) -> dict[int, Place]:
    """Partition → where to go on."""
    return {each.partition: each.place for each in that_count(pieces)}


def to_compact(pieces: Iterable[Piece], open_from: Mapping[int, date]) -> list[list[Piece]]:
    """What is to become one file each: the files of a partition and day of which there are several, where the partition
    has gone on to a later day. ``open_from``: partition → the day it is in."""
    groups: dict[tuple[date, int], list[Piece]] = {}
    for each in that_count(pieces):
        if each.day < open_from.get(each.partition, date.min):
            groups.setdefault((each.day, each.partition), []).append(each)
    return [group for _, group in sorted(groups.items()) if len(group) > 1]


def together(group: Sequence[Piece]) -> Piece:
    """The one file that the files of ``group``, in their order, become."""
    return group[-1]._replace(first=group[0].first)


def expired(days: Iterable[date], today: date, keep_days: int) -> list[date]:
    """Days of the archive that are older than ``keep_days`` whole days; none where that is 0."""
    return sorted(day for day in days if keep_days and (today - day).days > keep_days)


def day_of(timestamp_ms: int) -> date:
    """The UTC day of a log's timestamp; far beyond the calendar, its last day."""
    return datetime.fromtimestamp(min(max(timestamp_ms, 0), 253_402_300_799_000) / 1000, UTC).date()
