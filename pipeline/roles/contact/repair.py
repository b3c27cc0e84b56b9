"""Every open conversation has a due step, or nobody would ever look at it again.

Each change writes both in one step, so nothing is ever to be found: unless the store came back older than its writers,
or somebody wrote into it by hand, or there is a bug. Two cursors go on a little at each sweep. One goes through the cards
with an open conversation: such a one that has no due step gets the moment it was last given, and a card whose
conversation is gone is free again. The other goes, more slowly, through all that is kept, for what tells and stands on
no card.
"""

import structlog
from msgspec.structs import replace

from pipeline.core.conversation import OPEN, decode, encode
from pipeline.ports_contact import Change, ContactStore
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS

ROUND_SWEEPS = 50
"""Sweeps that go through all cards' open conversations, where `MOST` allows."""
LEAST, MOST = 20, 1_000
"""Cards one sweep looks at: a thousand are 2 ms of the store's time."""
KEPT = 200
"""Keys of the store that one sweep looks at: less than 1 ms of its time. A million take an hour and a half."""
log = structlog.get_logger()


class Repair:
    """Goes through the open conversations, round after round. Each worker does."""

    def __init__(self, store: ContactStore, metrics: ContactMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._cursor = 0
        self._kept_cursor = 0

    async def go_on(self, open_count: int, now_ms: int) -> None:
        """One sweep; ``open_count``: cards with an open conversation. Raises `StoreDown`."""
        if open_count:
            limit = min(MOST, max(LEAST, -(-open_count // ROUND_SWEEPS)))
            swept = await self._store.sweep(self._cursor, limit)
            self._cursor = swept.cursor
            self._told("unscheduled", swept.scheduled)
            self._told("gone", swept.dropped)
        strays = await self._store.strays(self._kept_cursor, KEPT)
        self._kept_cursor = strays.cursor
        for contact in strays.contacts:
            self._told("unscheduled", await scheduled(contact, self._store, now_ms))

    def _told(self, reason: str, number: int) -> None:
        if number:
            self._metrics.repaired.labels(reason).inc(number)
            log.error("open contacts were not as they must be, and are now", reason=reason, contacts=number)


async def scheduled(contact: str, store: ContactStore, now_ms: int, at_once: bool = False) -> bool:
    """Put an open conversation back into its schedule, at the moment it was last given or ``at_once``. False: it has
    ended, or somebody changed it meanwhile, and it is in there anyway. Raises `StoreDown`."""
    kept = await store.conversation(contact)
    if kept is None:
        return False
    conversation = decode(kept.value)
    if conversation.state not in OPEN:
        return False
    due_ms = now_ms if at_once or conversation.due_ms is None else conversation.due_ms
    change = Change(
        contact,
        conversation.card,
        conversation.customer,
        kept.version,
        encode(replace(conversation, due_ms=due_ms)),
        due_ms,
        open=True,
        class_=conversation.class_,
        apart=conversation.tells,
    )
    return (await store.commit([change], now_ms, OUTBOX_LEASE_MS, 1)).outcome == "stored"
