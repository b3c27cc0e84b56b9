"""Every open conversation has a due step, or nobody would ever look at it again.

Each change writes both in one step, so nothing is ever to be found: unless the store came back older than its writers,
or somebody wrote into it by hand, or there is a bug. A cursor goes through the open conversations, a few at each sweep,
and gives one that has no due step the moment it was last given; a card whose conversation is gone is free again.
"""

import structlog

from pipeline.ports import ContactStore
from pipeline.roles.contact.metrics import ContactMetrics

ROUND_SWEEPS = 50
"""Sweeps that go through all open conversations, where `MOST` allows."""
LEAST, MOST = 20, 1_000
"""Conversations one sweep looks at: a thousand are 2 ms of the store's time."""
log = structlog.get_logger()


class Repair:
    """Goes through the open conversations, round after round. Each worker does."""

    def __init__(self, store: ContactStore, metrics: ContactMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self._cursor = 0

    async def go_on(self, open_count: int) -> None:
        """One sweep. Raises `StoreDown`."""
        if not open_count:
            return
        limit = min(MOST, max(LEAST, -(-open_count // ROUND_SWEEPS)))
        swept = await self._store.sweep(self._cursor, limit)
        self._cursor = swept.cursor
        for reason, number in (("unscheduled", swept.scheduled), ("gone", swept.dropped)):
            if number:
                self._metrics.repaired.labels(reason).inc(number)
                log.error("open contacts were not as they must be, and are now", reason=reason, contacts=number)
