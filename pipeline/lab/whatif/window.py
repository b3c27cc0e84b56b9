"""A window on the archive, kept open: one question opens it, the next ones are answered from memory.

What every answer needs is read once: scores, worths, outcomes, digests of cards and customers, labels. A rule's columns are
read when it is first asked, and which rows it hits is kept; so a changed threshold reads nothing, a changed rule only what
was not looked at lately. Files of the archive that have come since are read by `refresh`, the others stay.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.archive_files import Piece
from pipeline.core.control_group import ControlGroup
from pipeline.core.lists import NO_LISTS, Lists
from pipeline.core.policy import Policy
from pipeline.lab.whatif.asked import Asked
from pipeline.lab.whatif.block import Block, narrow, wide
from pipeline.lab.whatif.candidate import columns_of
from pipeline.lab.whatif.deciding import Book, Holds
from pipeline.lab.whatif.distinct import distinct
from pipeline.lab.whatif.positions import Hits, all_of
from pipeline.lab.whatif.rule_hits import part_hits
from pipeline.lab.whatif.tally import Sums, kinds_of, recorded_rows, sums, together
from pipeline.ports_archive import Trials

BLOCK_ROWS: Final = 500_000
"""Files are put together until they have so many rows."""
COLUMN_BYTES: Final = 170_000_000
"""Of columns that rules asked lately; a question that needs more reads them and keeps none."""
HIT_BYTES: Final = 120_000_000
"""Of what is kept about which rows rules hit; the present question's may be more."""
THREADS: Final = 2

Progress = Callable[[int, int], None]
"""Rows read, of how many: called while something has to be read first."""
Made = TypeVar("Made")


def unheard(_done: int, _whole: int) -> None:
    """A progress nobody asked for."""


class Window:
    """The days of arrival from ``first`` to ``last`` (UTC), with the labels in force at ``known_at_ms``. Raises OSError where
    files cannot be read: those that the archive put together are gone some minutes later, so whoever keeps a window open
    refreshes it every few. Any thread may ask; questions wait for each other."""

    def __init__(self, trials: Trials, first: date, last: date, known_at_ms: int, progress: Progress = unheard) -> None:
        self._trials = trials
        self.first, self.last = first, last
        self.known_at_ms = 0
        self.blocks: Sequence[Block] = ()
        self.cards = 0
        self._lock = Lock()
        self._refreshing = Lock()
        self._labels: object = None
        self._columns: OrderedDict[Any, None] = OrderedDict()
        self._hits: OrderedDict[Any, None] = OrderedDict()
        self._lists: object = None
        self._recorded: tuple[Book, Sums] | None = None
        self.refresh(known_at_ms, progress=progress)

    def refresh(self, known_at_ms: int, last: date | None = None, progress: Progress = unheard) -> int:
        """Look at what has come since, up to the day ``last`` (None: as before), with the labels in force now; how many
        rows had to be read. Questions go on meanwhile, and see all of it or none."""
        with self._refreshing:
            self.last = self.last if last is None else last
            kept, groups = _regrouped(self.blocks, self._trials.pieces(self.first, self.last))
            whole = sum(_rows(group) for group in groups)
            labels = self._trials.labels_version(self.first, known_at_ms)
            made: list[Block] = []
            for group in groups:
                progress(sum(block.n for block in made), whole)
                block = Block(group, self._trials.rows(group))
                block.know(self._trials.known(group, self.first, known_at_ms))
                made.append(block)
            progress(whole, whole)
            known = {}
            if labels != self._labels:
                known = {id(block): self._trials.known(block.pieces, self.first, known_at_ms) for block in kept}
            blocks = [*kept, *made]
            cards = _cards(blocks)
            with self._lock:
                for block in kept:
                    if id(block) in known:
                        block.know(known[id(block)])
                self.blocks, self.cards, self.known_at_ms, self._labels = blocks, cards, known_at_ms, labels
                self._recorded = None
            self._trials.give_back()
            return sum(block.n for block in made)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """One question at a time."""
        with self._lock:
            yield
        self._trials.give_back()

    @property
    def counters(self) -> Sequence[str]:
        """What rows say in ``counters`` (`archive_counters`), each once."""
        return sorted({way.counters for block in self.blocks for way in block.ways if way.counters is not None})

    def recorded(self) -> tuple[Book, Sums]:
        """What was decided, and its sums: a book of its own to go on in."""
        if self._recorded is None:
            book = Book()
            parts = [recorded_rows(block, book) for block in self.blocks]
            self._recorded = book, together([sums(part, kinds_of(book)) for part in parts])
        book, found = self._recorded
        return Book(book.entries), found

    def rules(self, policy: Policy, lists: Lists = NO_LISTS, progress: Progress = unheard) -> Sequence[Any]:
        """Find which rows each rule of ``policy`` hits; the keys of that in `Block.hits`. Raises `Refused`."""
        beside = columns_of(policy, self.counters, lists)
        if policy.lists and self._lists is not lists:
            self._trials.list_entries(list(lists.rows()))
            self._lists = lists
        asked = Asked(policy, beside, lists)
        missing = [block for block in self.blocks if not asked.rules.keys() <= block.hits.keys()]
        wanted = {asked.columns[name] for block in missing for name in asked.wanted(block)}
        kept = self._make_room(wanted)
        done, whole = 0, sum(block.n for block in missing)

        def find(block: Block) -> int:
            for parts in asked.batches(block):
                taken = self._taken(block, asked, {name for part in parts.values() for name in part.columns}, kept)
                for key, part in parts.items():
                    block.hits[key] = Hits.of(part_hits(part, taken, block.n))
            for rule, of in asked.rules.items():
                if rule not in block.hits:
                    block.hits[rule] = all_of([block.hits[key] for key in of])
            return block.n

        for rows in self.over(find, missing):
            done += rows
            progress(done, whole)
        self._forget_hits([*asked.parts, *asked.rules])
        return list(asked.keys)

    def over(self, made: Callable[[Block], Made], blocks: Sequence[Block] | None = None) -> Iterator[Made]:
        """``made`` of each of the ``blocks`` (None: of all), by two threads."""
        with ThreadPoolExecutor(THREADS) as threads:
            yield from threads.map(made, self.blocks if blocks is None else blocks)

    def fields(self, pieces: Sequence[Piece], *what: Any) -> list[tuple[Any, ...]]:
        """`Trials.fields`."""
        return self._trials.fields(pieces, *what)

    def holds(self, group: ControlGroup | None) -> Holds:
        return partial(self._holds, group)

    def _holds(self, group: ControlGroup | None, block: Block, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        if group is None:
            return np.zeros(len(positions), dtype=np.bool_)
        nobody = np.empty(0, np.int64), np.empty(0, np.bool_)
        drawn, held = block.drawn.get(group, nobody)
        new = np.setdiff1d(positions, drawn)
        if len(new):
            found = self._trials.fields(block.pieces, *block.places(new), ("id", "amount"))
            places = (np.array([row[0] for row in found]), np.array([row[1] for row in found]))
            holds = np.array([row[3] is not None and group.holds(row[2], row[3]) for row in found])
            drawn, held = np.append(drawn, block.positions(places)), np.append(held, holds)
            order = np.argsort(drawn)
            drawn, held = drawn[order], held[order]
            block.drawn = {group: (drawn, held)}
        return held[np.searchsorted(drawn, positions)]

    # --- what is kept

    def _taken(self, block: Block, asked: Asked, names: set[str], keep: bool) -> dict[str, Any]:
        keys = asked.columns
        there = {name: block.columns[keys[name]] for name in names - {"score"} if keys[name] in block.columns}
        absent = sorted(names - {"score"} - there.keys())
        if absent:
            read = self._trials.columns(block.pieces, {name: asked.sql(name) for name in absent})
            if keep:
                for name, column in read.items():
                    block.columns[keys[name]] = narrow(column)
            there |= read
        return wide(there) | ({"score": block.score} if "score" in names else {})

    def _make_room(self, keys: Iterable[Any]) -> bool:
        """Whether what is now read is kept: columns not asked for longest go."""
        wanted = list(keys)
        rows = sum(block.n for block in self.blocks)
        new = sum(8 * rows for key in wanted if key not in self._columns)
        if new > COLUMN_BYTES:
            return False
        while self._columns and new + sum(block.kept_bytes for block in self.blocks) > COLUMN_BYTES:
            oldest = next((key for key in self._columns if key not in wanted), None)
            if oldest is None:
                return False
            del self._columns[oldest]
            for block in self.blocks:
                block.columns.pop(oldest, None)
        for key in wanted:
            self._columns[key] = None
            self._columns.move_to_end(key)
        return True

    def _forget_hits(self, asked: Sequence[Any]) -> None:
        for key in asked:
            self._hits[key] = None
            self._hits.move_to_end(key)
        needed = set(asked)
        held = sum(hits.nbytes for block in self.blocks for hits in block.hits.values())
        for key in [key for key in self._hits if key not in needed]:
            if held <= HIT_BYTES:
                break
            held -= sum(block.hits.pop(key).nbytes for block in self.blocks if key in block.hits)
            del self._hits[key]


def _rows(group: Sequence[Piece]) -> int:
    return sum(each.last - each.first + 1 for each in group)


def _regrouped(blocks: Sequence[Block], pieces: Sequence[Piece]) -> tuple[list[Block], list[list[Piece]]]:
    """The blocks that stay, and the files that are to be read, group by group: those that are new or came out of putting
    together, with what is in small blocks, of which there would be ever more."""
    there = set(pieces)
    kept = [block for block in blocks if there.issuperset(block.pieces)]
    covered = {each for block in kept for each in block.pieces}
    if covered != there:
        kept = [block for block in kept if block.n >= BLOCK_ROWS // 2]
        covered = {each for block in kept for each in block.pieces}
    groups: list[list[Piece]] = []
    for each in pieces:
        if each in covered:
            continue
        if not groups or _rows(groups[-1]) >= BLOCK_ROWS:
            groups.append([])
        groups[-1].append(each)
    return kept, groups


def _cards(blocks: Sequence[Block]) -> int:
    """Distinct ones: those that begin with the same bits at a time, for all of them again would be much memory."""
    return sum(
        len(distinct(np.concatenate([block.card[block.card >> np.uint64(60) == part] for block in blocks])))
        for part in range(16 if blocks else 0)
    )
