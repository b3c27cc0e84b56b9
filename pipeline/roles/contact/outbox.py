"""From the effects of a transition to records on topics: kept with the transition, then published, then forgotten.

A record leaves at least once, under an id derived from the conversation and its version; readers recognise a repeat by
it. The worker that made the transition publishes at once. What it leaves behind when it dies comes due after a lease
and is published by whichever worker sweeps first.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from pipeline.core.contacting import Effect
from pipeline.core.records import Answer, CardCommand, ContactStep, Label
from pipeline.core.topics import ANSWERS, CARD_COMMANDS, CONTACTS, LABELS, Topic
from pipeline.ports import Log, Outgoing, StoreDown
from pipeline.ports_contact import ContactStore, OutboxEntry

OUTBOX_LEASE_MS = 5_000
"""How long a record is left to the worker that made it: longer than an append takes, short enough for a hold."""
HEADER_RECORD_ID = "record_id"
HEADER_WRITER = "writer"
WRITER = b"contact"
IN_ORDER: Sequence[Topic] = (CARD_COMMANDS, CONTACTS, LABELS, ANSWERS)
"""A hold is on its way before anything else."""

_encoder = msgspec.json.Encoder()


def entries(contact: str, version: int, effects: Sequence[Effect], first: int = 0) -> list[OutboxEntry]:
    """The outbox entries of one transition to ``version``; calls are no records and are left out."""
    found = []
    for number, effect in enumerate(effects, first):
        name = f"{contact}:{version}:{number}"
        match effect:
            case CardCommand():
                found.append(OutboxEntry(name, CARD_COMMANDS.name, effect.card, _encoder.encode(effect), numbered=True))
            case ContactStep():
                key = effect.customer or effect.contact
                found.append(OutboxEntry(name, CONTACTS.name, key, _encoder.encode(effect)))
            case Label():
                found.append(OutboxEntry(name, LABELS.name, effect.card, _encoder.encode(effect)))
            case Answer():
                found.append(OutboxEntry(name, ANSWERS.name, effect.contact, _encoder.encode(effect)))
    return found


class Outbox:
    """Publishes entries of the store's outbox through the log."""

    def __init__(self, log: Log, store: ContactStore) -> None:
        self._log = log
        self._store = store
        self._acknowledged: list[str] = []

    async def publish(self, found: Sequence[OutboxEntry]) -> None:
        """Return when every entry is acknowledged. Raises what the log raises: the entries stay in the outbox."""
        sends = []
        for topic in IN_ORDER:
            records = [
                Outgoing(
                    entry.key.encode(),
                    entry.value,
                    ((HEADER_RECORD_ID, entry.id.encode()), (HEADER_WRITER, WRITER)),
                )
                for entry in found
                if entry.topic == topic.name
            ]
            if records:
                sends.append(self._log.send(topic, records))
        await asyncio.gather(*sends)

    async def forget(self, found: Sequence[OutboxEntry]) -> None:
        """Acknowledged entries need not be published again; the store hears of it at the next `tidy`. If it does not,
        they are published again, harmlessly."""
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
        if found:
            await self.publish(found)
            await self.forget(found)
        return len(found)
