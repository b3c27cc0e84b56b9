"""One partition's card rows in memory, and their place in the store.

Four things hold at all times: a poll starts only when every decision of the one before is acknowledged; what is saved
is copied between polls; a row changes only by the next record of its partition; rows are used only under their own
owner token. So what the store holds is always a state that an uninterrupted run went through, with the offset to go on
from, and replay from there makes the same rows again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import structlog

from pipeline.ports import ProfileStore, StoreDown

RETRY_S = 0.3
FINAL_SAVE_S = 2.0
"""How long a hand-over may spend on the last save; what is not saved is replayed by the next owner."""

log = structlog.get_logger()


class OwnedPartition:
    """Rows, what changed since the last save, and where the next record is expected.

    ``next`` None: nothing was ever saved, read from the log's beginning. ``lost``: another owner's token is in the
    store (or an older store came back): the rows must not be used any more.
    """

    def __init__(self, partition: int, token: str, sequence: int, following: int | None) -> None:
        self.partition = partition
        self.token = token
        self.sequence = sequence
        self.next = following
        self.saved = following
        self.rows: dict[bytes, bytes] = {}
        self.dirty: dict[bytes, bytes] = {}
        self.lost = False
        self.saving: asyncio.Task[None] | None = None
        self.member = ("", 0)
        self.changed_at: float | None = None

    @property
    def behind(self) -> bool:
        """True when the store lacks something."""
        return self.next != self.saved

    async def save(self, store: ProfileStore) -> bool:
        """Save what changed up to now; False when the store is down (all stays to be saved) or refused."""
        changed, following, sequence = dict(self.dirty), self.next, self.sequence + 1
        assert following is not None
        try:
            answer = await store.save(self.partition, self.token, sequence, following, changed)
        except StoreDown as error:
            log.warning("checkpoint waits for the store", partition=self.partition, error=str(error))
            return False
        if answer == "refused":
            self.lost = True
            log.warning(
                "checkpoint refused: the partition has another owner, or the store is older", partition=self.partition
            )
            return False
        self.sequence = sequence
        if answer == "saved":  # "already": an earlier try did land; what is dirty now is a superset of it
            self.saved = following
            for card, row in changed.items():
                if self.dirty.get(card) is row:
                    del self.dirty[card]
        return True

    async def save_finally(self, store: ProfileStore) -> None:
        """The last save before the partition goes; the second round takes what an "already" left."""
        if self.saving is not None:
            await asyncio.wait({self.saving})
        for _ in range(2):
            if not self.lost and self.behind:
                await self.save(store)


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
            owned.rows = await store.load(partition)
            place = await store.position(partition)
            if (place.token, place.sequence, place.next_offset) == (taken.token, taken.sequence, taken.next_offset):
                return owned
            log.info("the partition moved while it was loading", partition=partition)
            while not await proven():
                await asyncio.sleep(RETRY_S)
        except StoreDown as error:
            log.warning("loading waits for the store", partition=partition, error=str(error))
            await asyncio.sleep(RETRY_S)
