"""One partition's card rows in memory, and their place in the store.

Four things hold at all times: a row is saved only when every decision made from it is acknowledged; what is saved is
set apart between polls; a row changes only by the next record of its partition, or by a save (`beside`); rows are used
only under their own owner token. So what the store holds is always a state that an uninterrupted run went through, with
the offset to go on from, and replay from there makes the same rows again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import structlog

from pipeline.ports import ProfileStore, StoreDown
from pipeline.roles.scorer.beside import Beside, Moved, rows_and_others
from pipeline.roles.scorer.dormant import Dormant, mark, newest_events

RETRY_S = 0.3
FINAL_SAVE_S = 2.0
"""How long a hand-over may spend on the last save; what is not saved is replayed by the next owner."""
SWEEP_CARDS = 1_000
ARCHIVE_ROWS = 200
"""Rows moved to the archive in one step: compressing them takes about 5 ms."""
DAY_S = 86_400.0

log = structlog.get_logger()


class Checkpoint(NamedTuple):
    """Rows set apart to be saved, nothing changes them any more, with the offset they belong to; ``moved``: histories
    that other cards handed over, put into rows by this save."""

    token: str
    sequence: int
    next: int
    rows: dict[bytes, bytes]
    moved: Moved | None = None


class OwnedPartition:
    """Rows, what changed since the last save, and where the next record is expected.

    ``next`` None: nothing was ever saved, read from the log's beginning. ``lost``: another owner's token is in the
    store (or an older store came back): the rows must not be used any more. ``dirty`` is another dict after each
    `checkpoint`: look it up when it is written to. ``newest``: unix seconds of the newest event seen in the rows.
    """

    def __init__(self, partition: int, token: str, sequence: int, following: int | None) -> None:
        self.partition = partition
        self.token = token
        self.sequence = sequence
        self.next = following
        self.saved = following
        self.rows: dict[bytes, bytes] = {}
        self.dirty: dict[bytes, bytes] = {}
        self.dormant = Dormant()
        self.beside = Beside()
        self.newest = float("-inf")
        self.lost = False
        self.saving: asyncio.Task[None] | None = None
        self.member = ("", 0)
        self.changed_at: float | None = None
        self.retry_at = 0.0
        self.sweep_at = 0.0
        self._apart_since: float | None = None
        self._apart: dict[bytes, bytes] = {}
        self._sweep: Iterator[bytes] | None = None

    @property
    def behind(self) -> bool:
        """True when the store lacks something."""
        return self.next != self.saved or (self.beside.coming is not None and self.next is not None)

    @property
    def waiting_since(self) -> float | None:
        """When the oldest change that the store lacks was made."""
        return self.changed_at if self._apart_since is None else self._apart_since

    @property
    def unsaved(self) -> int:
        """Rows that the store lacks."""
        return len(self._apart) + len(self.dirty)

    # --- saving

    def checkpoint(self) -> Checkpoint:
        """Set apart what changed, between two polls and while nothing is being saved. What an earlier save did not
        bring home is part of it."""
        assert self.next is not None
        if self._apart:
            self._apart.update(self.dirty)
        else:
            self._apart = self.dirty
        self.dirty = {}
        self._apart_since, self.changed_at = self.waiting_since, None
        moved = self.beside.set_apart(self.rows)
        rows = self._apart if moved is None else self._apart | self.beside.to_store(moved)
        return Checkpoint(self.token, self.sequence + 1, self.next, rows, moved)

    async def save(self, store: ProfileStore, checkpoint: Checkpoint | None = None) -> bool:
        """Save what was set apart, or what changed up to now; False when the store is down (all stays to be saved) or
        refused."""
        token, sequence, following, rows, moved = checkpoint or self.checkpoint()
        try:
            answer = await store.save(self.partition, token, sequence, following, rows)
        except StoreDown as error:
            log.warning("checkpoint waits for the store", partition=self.partition, error=str(error))
            return False
        if answer == "refused":
            if token == self.token:  # else it was late, and refused because of our own new token
                self._lose("checkpoint")
            return False
        self.sequence = sequence
        if answer == "saved":  # "already": an earlier try did land; what is set apart now is a superset of it
            self.saved = following
            self._apart, self._apart_since = {}, None
            if moved is not None:
                self.beside.saved(moved, self.rows, self.dirty)
        return True

    def _lose(self, what: str) -> None:
        self.lost = True
        log.warning(f"{what} refused: the partition has another owner, or the store is older", partition=self.partition)

    def free(self) -> None:
        """The running task is done with the store: the next save may begin."""
        self.beside.moving = frozenset()
        if self.saving is asyncio.current_task():
            self.saving = None

    def hand_over(self, store: ProfileStore) -> asyncio.Task[None]:
        """Begin the last save before the partition goes."""
        self.saving = asyncio.create_task(self._save_finally(store, self.saving))
        return self.saving

    async def _save_finally(self, store: ProfileStore, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            for _ in range(2):  # the second round takes what an "already" left
                if not self.lost and self.behind:
                    await self.save(store)
        finally:
            self.saving = before if before is not None and not before.done() else None

    # --- cards not seen for long

    async def sweep(self, store: ProfileStore, now: float, days: int) -> None:
        """Look at some rows, in the order in which they lie, and archive those whose newest event is ``days`` older
        than the partition's. After the last one, look again a day later. Runs beside polls, never beside a save."""
        if self._sweep is None:
            self._sweep = iter(list(self.rows))
        looked = list(islice(self._sweep, SWEEP_CARDS))
        if not looked:
            self._sweep, self.sweep_at = None, now + DAY_S
            return
        still = {card: self.rows[card] for card in looked if card in self.rows}
        newest = newest_events(still.values(), self.partition)
        self.newest = float(newest.max(initial=self.newest))
        before = min(self.newest, now) - days * DAY_S
        old = (item for item, at in zip(still.items(), newest.tolist(), strict=True) if at < before)
        used = self.beside.busy
        found = iter(
            [item for item in old if item[0] not in self.dirty and item[0] not in self._apart and item[0] not in used]
        )
        while some := dict(islice(found, ARCHIVE_ROWS)):
            marks = b"".join(map(mark, some))
            if not await store.archive(self.partition, self.token, self.sequence, some, marks):
                return self._lose("archiving")
            self.dormant.add(some)
            for card, row in some.items():
                if self.rows.get(card) is row:  # not used meanwhile
                    del self.rows[card]

    async def wake(self, store: ProfileStore, cards: Iterable[bytes]) -> bool:
        """Bring back the rows of those of ``cards`` that are dormant, waiting for the store as long as it takes. When
        this returns, a card without a row is a new card, or the partition is lost. True: there was something to wait
        for."""
        if not self.dormant:
            return False
        waited, new = False, set[bytes]()
        unknown = {card for card in cards if card not in self.rows}
        while asleep := [
            card for card in unknown if card not in new and card not in self.rows and card in self.dormant
        ]:
            if self.lost:
                break
            waited = True
            try:
                found = await store.wake(self.partition, self.token, self.sequence, asleep)
            except StoreDown as error:
                log.warning("a card not seen for long waits for the store", partition=self.partition, error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            if found is None:
                self._lose("reading the archive")
                break
            newest_events(found.values(), self.partition)
            self.rows.update(found)
            new.update(card for card in asleep if card not in found)
        return waited


async def wake_all(store: ProfileStore, parts: Sequence[tuple[OwnedPartition, Collection[bytes]]]) -> None:
    """`OwnedPartition.wake` for the cards of a whole poll. When this returns it holds for all partitions, for as long as
    nothing is awaited: while one waits, a sweep may archive a card of another."""
    while any([await owned.wake(store, cards) for owned, cards in parts]):
        pass


async def own(
    store: ProfileStore, partition: int, warm: OwnedPartition | None, proven: Callable[[], Awaitable[bool]]
) -> OwnedPartition:
    """Become the owner and load the rows; waits for as long as the store is down.

    ``warm``: the rows of an earlier ownership, used again if the store says that nobody came between. ``proven`` asks
    the group whether the partition is ours; it is asked when the store moved while we were loading, since a loader
    that was paused must not fence the present owner.
    """
    while True:
        try:
            taken = await store.take(partition, secrets.token_hex(16))
            if (
                warm is not None
                and not warm.lost
                and (taken.previous_token, taken.sequence) == (warm.token, warm.sequence)
            ):
                warm.token = taken.token
                return warm
            owned = OwnedPartition(partition, taken.token, taken.sequence, taken.next_offset)
            await _load(store, owned)
            place = await store.position(partition)
            if (place.token, place.sequence, place.next_offset) == (taken.token, taken.sequence, taken.next_offset):
                return owned
            log.info("the partition moved while it was loading", partition=partition)
            while not await proven():
                await asyncio.sleep(RETRY_S)
        except StoreDown as error:
            log.warning("loading waits for the store", partition=partition, error=str(error))
            await asyncio.sleep(RETRY_S)


async def _load(store: ProfileStore, owned: OwnedPartition) -> None:
    """All rows, each looked at. Raises UnreadableRow."""
    async for stored in store.load(owned.partition):
        some, others = rows_and_others(stored)
        owned.beside.load(others)
        newest = newest_events(some.values(), owned.partition)
        owned.newest = float(newest.max(initial=owned.newest))
        owned.rows.update(some)
    owned.dormant = Dormant(await store.marks(owned.partition))
