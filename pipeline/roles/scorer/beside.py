"""What a partition keeps beside its rows: the notes of its cards, how far the topics that speak of cards are read, and
histories on their way into rows.

A row changes only by the next transaction of its partition, with one exception: the history of the card that it replaces.
When that is put in must be the same whenever the transactions after it are read again. So it is **put in by a save**:
a checkpoint sets the united row apart, with the note that says so and the place in the topic it came from; only when the
store has all that does the row in memory become the united one. The moment is then part of the checkpoint, and whoever
goes on from there goes on after it.

A transaction of the card itself that comes while its save is under way waits for the answer, for `HOLD_S` at most, so
that not even a repeated decision differs. Longer no decision waits: then the row goes on without the history, which the
next save brings.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from pipeline.core.card_note import Note, pack_note, unpack_note
from pipeline.core.profile_row import EMPTY_ROW
from pipeline.core.row_union import united
from pipeline.core.topics import CARD_EVENTS, MOVED_ROWS, Record

HOLD_S: Final = 0.25
MAX_WAITING: Final = 2_000
"""Records of one topic and partition that wait here; the others wait in the log."""
MAX_ASKED: Final = 100_000

TOPICS: Final = (CARD_EVENTS, MOVED_ROWS)
_BESIDE: Final = b"@"
"""What is stored among the rows and is none begins so; a card's token begins with tok_."""
_PLACES: Final = b"@places"
_NOTE: Final = b"@note:"


def rows_and_others(stored: Mapping[bytes, bytes]) -> tuple[Mapping[bytes, bytes], dict[bytes, bytes]]:
    """What a store keeps for a partition, taken apart: rows by card, and what is kept beside them."""
    others = {key: value for key, value in stored.items() if key[:1] == _BESIDE}
    return ({key: value for key, value in stored.items() if key not in others} if others else stored), others


class Inbox:
    """One topic's records of a partition. ``next``: which one is read next; ``done``: the first that is not accounted for
    in the store. None: none was ever."""

    def __init__(self) -> None:
        self.next: int | None = None
        self.done: int | None = None
        self.waiting: deque[tuple[Record, object]] = deque()

    def take(self, records: Sequence[Record], came: object) -> None:
        """Those not read before; ``came``: the last word on how far transactions were read. Whoever is asked for the next
        one and brings an older one reads a log that was made anew."""
        if self.next is not None and records and records[0].offset < self.next:
            self.next = None
        for record in records:
            if self.next is None or record.offset >= self.next:
                self.waiting.append((record, came))
                self.next = record.offset + 1


class Coming(NamedTuple):
    """What was found in some records and is to be saved: notes as they will be, histories (card, row) to be united with
    the cards' rows, and how far the topics are done with."""

    notes: Mapping[bytes, Note]
    histories: tuple[tuple[bytes, bytes], ...]
    places: Mapping[str, int]


class Moved(NamedTuple):
    """What a checkpoint brings of it: the rows as they will be."""

    coming: Coming
    rows: dict[bytes, bytes]


class Beside:
    """``notes``: card → packed note. ``heard_ms``: timestamp of the newest transaction read. ``busy``: cards whose rows
    must stay in memory; ``moving``: those that the save under way puts a history into. ``handling``: the task that looks at what waits."""

    def __init__(self) -> None:
        self.notes: dict[bytes, bytes] = {}
        self.inboxes = {topic: Inbox() for topic in TOPICS}
        self.heard_ms = 0
        self.busy: frozenset[bytes] = frozenset()
        self.coming: Coming | None = None
        self.moving: frozenset[bytes] = frozenset()
        self.handling: asyncio.Task[None] | None = None
        self._asked: set[tuple[bytes, str]] = set()

    def load(self, stored: Mapping[bytes, bytes]) -> None:
        """What `rows_and_others` found."""
        for key, value in stored.items():
            if key.startswith(_NOTE):
                self.notes[key.removeprefix(_NOTE)] = value
            elif key == _PLACES:
                for name, place in msgspec.json.decode(value, type=dict[str, int]).items():
                    for topic, inbox in self.inboxes.items():
                        if topic.name == name:
                            inbox.next = inbox.done = place

    def note(self, card: bytes) -> Note:
        return unpack_note(self.notes.get(card))

    def asks(self, card: bytes, previous: str) -> bool:
        """True once for a card and the one before it, so that a question is not sent with every transaction."""
        if (card, previous) in self._asked:
            return False
        if len(self._asked) >= MAX_ASKED:
            self._asked.clear()
        self._asked.add((card, previous))
        return True

    def set_apart(self, rows: Mapping[bytes, bytes]) -> Moved | None:
        """For a checkpoint: what is coming, on the rows of this moment."""
        if self.coming is None:
            return None
        moved: dict[bytes, bytes] = {}
        for card, history in self.coming.histories:
            moved[card] = united(moved.get(card) or rows.get(card, EMPTY_ROW), history)
        self.moving = frozenset(moved)
        return Moved(self.coming, moved)

    def to_store(self, moved: Moved) -> dict[bytes, bytes]:
        """Rows, notes and places as the store keeps them."""
        notes = {_NOTE + card: pack_note(note) for card, note in moved.coming.notes.items()}
        places = {topic.name: inbox.done for topic, inbox in self.inboxes.items() if inbox.done is not None}
        return moved.rows | notes | {_PLACES: msgspec.json.encode(places | dict(moved.coming.places))}

    def saved(self, moved: Moved, rows: dict[bytes, bytes], changed: Mapping[bytes, bytes]) -> None:
        """The store has it: so have the rows from now on. But where a row went on meanwhile (it is in ``changed``) nothing
        is taken over, and the next save brings everything again, on the row of then."""
        if not moved.rows.keys() & changed.keys():
            rows.update(moved.rows)
            self.notes.update((card, pack_note(note)) for card, note in moved.coming.notes.items())
            for topic, inbox in self.inboxes.items():
                inbox.done = moved.coming.places.get(topic.name, inbox.done)
            self.coming, self.busy = None, frozenset()
