"""From what follows of an account's change to records on topics: kept with the change, then published, then forgotten.

A record leaves at least once. The worker that made the change publishes at once: a payment must reach whoever is about to
call. What it leaves behind when it dies comes due after a lease and is published by whichever worker sweeps first. Ids are
made of what is told, so the same entry made twice is one.
"""

import zlib
from collections.abc import Sequence

import msgspec

from pipeline.core.account_alerts import RiskAlert, step_of
from pipeline.core.records import ContactRequest
from pipeline.core.topics import CONTACT_REQUESTS, CONTACTS
from pipeline.ports import Log, Outgoing, StoreDown
from pipeline.ports_contact import OutboxEntry
from pipeline.ports_reminder import AccountStore

OUTBOX_LEASE_MS = 5_000
"""How long a record is left to the worker that made it: longer than an append takes."""
HEADER_RECORD_ID = "record_id"

_encoder = msgspec.json.Encoder()


def entry_of(request: ContactRequest) -> OutboxEntry:
    """The entry of one record of ``contact-requests``."""
    value = _encoder.encode(request)
    return OutboxEntry(f"{request.id}:{zlib.crc32(value):08x}", CONTACT_REQUESTS.name, request.customer, value)


def alert_of(alert: RiskAlert) -> OutboxEntry:
    """The entry of one record of ``contacts`` that tells the risk team."""
    step = step_of(alert)
    return OutboxEntry(f"{step.contact}:1", CONTACTS.name, step.customer or alert.account, _encoder.encode(step))


class Outbox:
    """Publishes entries of the store's outbox through the log."""

    def __init__(self, log: Log, store: AccountStore) -> None:
        self._log = log
        self._store = store
        self._acknowledged: list[str] = []

    async def publish(self, found: Sequence[OutboxEntry]) -> None:
        """Return when every entry is acknowledged; the store hears of it at the next `tidy`. Raises what the log raises:
        the entries stay in the outbox."""
        if not found:
            return
        for topic in (CONTACT_REQUESTS, CONTACTS):
            records = [
                Outgoing(entry.key.encode(), entry.value, ((HEADER_RECORD_ID, entry.id.encode()),))
                for entry in found
                if entry.topic == topic.name
            ]
            if records:
                await self._log.send(topic, records)
        self._acknowledged.extend(entry.id for entry in found)

    async def tidy(self) -> None:
        """Tell the store, in one write for many, which entries are acknowledged: a write is an fsync, and commits wait
        behind it. May raise `StoreDown`: then it is told the next time."""
        if not self._acknowledged:
            return
        told, self._acknowledged = self._acknowledged, []
        try:
            await self._store.published(told)
        except StoreDown:
            self._acknowledged[:0] = told
            raise

    async def sweep(self, now_ms: int, lease_ms: int, limit: int) -> int:
        """Publish what others left behind; answers how many entries."""
        found = await self._store.unpublished(now_ms, lease_ms, limit)
        await self.publish(found)
        return len(found)
