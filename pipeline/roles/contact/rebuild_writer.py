"""Putting a contact store that was made again into place, beside what may be there by now."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from pipeline.core import agenda, contact_history, wishes
from pipeline.core.contact_policy import CLASSES
from pipeline.ports_contact import Change, ContactStore, Move, Note
from pipeline.roles.contact.directory import AGENDA
from pipeline.roles.contact.ledger import Ledger
from pipeline.roles.contact.rebuild import HOUR_MS, Again, Restored

BATCH = 100
"""Conversations, customers or notes written in one step."""
T = TypeVar("T")


class Written(NamedTuple):
    """``present``: conversations, and ``moved``: partitions, that the store knew already; they stay as they are there."""

    conversations: int
    present: int
    notes: int
    moved: int


class Writer:
    """Puts what was restored into a store: what the store knows already stays as it is."""

    def __init__(self, store: ContactStore, now_ms: int) -> None:
        self._store = store
        self._now_ms = now_ms

    async def is_empty(self, partitions: Iterable[int]) -> bool:
        """Whether the store has no position and no open conversation. Raises `StoreDown`."""
        for class_ in CLASSES:
            if await self._store.open_count(class_):
                return False
        for partition in partitions:
            if await self._store.position(partition) is not None:
                return False
        return True

    async def write(self, ledger: Ledger, found: Restored) -> Written:
        """The directory first, positions last: a store in which they are missing is not yet whole. Raises `StoreDown`;
        may be begun again."""
        for some in _batches(list(ledger.customers.values())):
            await self._store.put_customers(some)
        written = await self.put_back(found.conversations)
        for notes_of_many in _batches(found.notes):
            if (await self._commit([], notes=notes_of_many)) != "stored":
                for note in notes_of_many:
                    await self._merge(note)
        moved = 0
        for partition, position in sorted(found.positions.items()):
            moved += await self._commit([], Move(partition, None, position)) == "moved"
        return Written(written, len(found.conversations) - written, len(found.notes), moved)

    async def put_back(self, conversations: Sequence[Again]) -> int:
        """Answers how many the store did not know. Raises `StoreDown`."""
        known = 0
        for alike in _runs(conversations):
            for some in _batches(alike):
                known += await self._put(some)
        return len(conversations) - known

    async def _commit(
        self, changes: Sequence[Change], move: Move | None = None, notes: Sequence[Note] = (), keep_ms: int = HOUR_MS
    ) -> str:
        return (await self._store.commit(changes, self._now_ms, 0, keep_ms, move, notes)).outcome

    async def _put(self, some: Sequence[Again]) -> int:
        """Conversations that are kept for equally long; answers how many the store knew."""
        keep_ms = some[0].keep_ms
        if await self._commit([one.change for one in some], keep_ms=keep_ms) == "stored":
            return 0
        outcomes = [await self._commit([one.change], keep_ms=keep_ms) for one in some]
        return sum(outcome != "stored" for outcome in outcomes)

    async def _merge(self, note: Note) -> None:
        """Add to a note that is there by now, until nobody else writes it."""
        outcome = ""
        while outcome != "stored":
            before = await self._store.note(note.key)
            after = _merged(note.key, before, note.after)
            outcome = await self._commit([], notes=[note._replace(before=before, after=after)])


def _merged(key: str, before: bytes, ours: bytes) -> bytes:
    """Histories, wishes and agendas add up; of the rest the store's own is the newer one."""
    if not before:
        return ours
    if key.startswith(("c:", "n:")):
        history = contact_history.decode(before)
        for entry in contact_history.decode(ours).entries:
            history = contact_history.noted(history, entry)
        return contact_history.encode(history)
    if key.startswith("w:"):
        return wishes.encode(wishes.both(wishes.read_wishes(before), wishes.read_wishes(ours)))
    if key.startswith(AGENDA):
        return agenda.both(before, ours)
    return before


def _runs(every: Sequence[Again]) -> Iterator[Sequence[Again]]:
    """``every``, in order, by how long they are kept."""
    start = 0
    for place in range(1, len(every) + 1):
        if place == len(every) or every[place].keep_ms != every[start].keep_ms:
            yield every[start:place]
            start = place


def _batches(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[start : start + BATCH] for start in range(0, len(every), BATCH))
