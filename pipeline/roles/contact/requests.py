"""What other systems want told: a request becomes a conversation, joins one that is planned, or changes its own.

Everything is decided on what was read and written in one step with the customer's agenda, so that of two workers who
take requests of one customer at once the slower one reads again.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from pipeline.core import agenda
from pipeline.core.conversation import Conversation, decode
from pipeline.core.dossier_entry import Happened, recorded
from pipeline.core.matters import Requested, Withdrawn
from pipeline.core.requests import Wanted, begun, contact_of, may_join
from pipeline.ports_contact import ContactStore, Kept, Known, OutboxEntry
from pipeline.roles.contact.conversations import MAX_CONFLICTS, Applied, Conversations
from pipeline.roles.contact.directory import agenda_note
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS, entries


class Requests:
    """Takes what is wanted into the store. Every method may raise `StoreDown`."""

    def __init__(self, conversations: Conversations, store: ContactStore) -> None:
        self._conversations = conversations
        self._store = store

    async def take(self, wish: Wanted, source_ms: int) -> Applied | None:
        """The conversation that tells it now, with its records to be published; None: nothing changed, it was read
        before. ``source_ms``: log timestamp of the request."""
        contact = contact_of(wish.customer, wish.matter.id)
        for _ in range(MAX_CONFLICTS):
            teller = await self._teller(contact)
            if teller is not None:
                return await self._changed(teller, Requested(wish.matter))
            known = await self._known(wish.customer)
            applied = await self._joined(contact, wish, known) or await self._begun(contact, wish, known, source_ms)
            if applied is not None:
                return applied
        raise RuntimeError(f"the agenda of a customer changed {MAX_CONFLICTS} times while {contact} was planned")

    async def knows(self, customer: str, name: str) -> bool:
        """Whether a conversation was ever begun for it that is still remembered."""
        return await self._teller(contact_of(customer, name)) is not None

    async def withdraw(self, customer: str, name: str, reason: str) -> Applied | None:
        """Have the request not told, or no further; None: nobody knows it, or nothing of it is left to tell."""
        teller = await self._teller(contact_of(customer, name))
        return None if teller is None else await self._changed(teller, Withdrawn(reason, name))

    async def forestall(self, wish: Wanted, reason: str) -> Applied | None:
        """Have the request not told whether it is known or comes later; None: nothing changed."""
        name = wish.matter.id
        contact = contact_of(wish.customer, name)
        for _ in range(MAX_CONFLICTS):
            if await self._teller(contact) is not None:
                return await self.withdraw(wish.customer, name, reason)
            asked = replace(begun(contact, wish, "", wish.matter.said_ms), matters=(wish.matter,))
            kept = Kept(contact, 0, b"", None)
            if (applied := await self._stored(asked, kept, Withdrawn(reason, name))) is not None:
                return applied
        raise RuntimeError(f"contact {contact} changed {MAX_CONFLICTS} times while it was withdrawn")

    async def _teller(self, contact: str) -> str | None:
        """The conversation that tells what was asked for as ``contact``: that one, or the one it joined."""
        kept = await self._store.conversation(contact)
        return None if kept is None else decode(kept.value).into or contact

    async def _changed(self, contact: str, event: Requested | Withdrawn) -> Applied | None:
        applied = await self._conversations.apply(contact, event)
        return None if applied is None or applied.refused else applied

    async def _known(self, customer: str) -> Known:
        known = await self._store.customer(customer)
        while await self._conversations.renew([(known.record, known.notes)]):
            known = await self._store.customer(customer)
        return known

    async def _joined(self, contact: str, wish: Wanted, known: Known) -> Applied | None:
        """Told together with what is planned, where there are words for several."""
        now_ms = self._conversations.now_ms()
        note = known.notes.get(agenda_note(wish.customer), b"")
        if not may_join(wish.class_, wish.matter, wish.channels):
            return None
        for other in agenda.joinable(note, wish.class_, wish.matter, now_ms):
            kept = await self._store.conversation(other)
            if kept is None:
                continue
            before = decode(kept.value)
            if before.channels != wish.channels or _same_bill(before, wish):
                continue
            joins = replace(begun(contact, wish, "", 0), state="cancelled", into=other)
            if (applied := await self._stored(before, kept, Requested(wish.matter), joins)) is not None:
                return applied
        return None

    async def _begun(self, contact: str, wish: Wanted, known: Known, source_ms: int) -> Applied | None:
        prefers = ""
        if known.record is not None:
            prefers = self._conversations.permission.customer(known.record, known.notes).preferred_channel or ""
        conversation = begun(contact, wish, prefers, source_ms)
        kept = Kept(contact, 0, b"", known.record, known.notes)
        return await self._stored(conversation, kept, Requested(wish.matter))

    async def _stored(
        self, before: Conversation, kept: Kept, event: Requested | Withdrawn, joins: Conversation | None = None
    ) -> Applied | None:
        """What ``event`` makes of ``before``, written if nobody was faster. ``joins``: what remembers where the wish is
        told."""
        now_ms = self._conversations.now_ms()
        advanced = self._conversations.advance(before, event, now_ms)
        if advanced.refused is not None:
            return None
        outbox: Sequence[OutboxEntry] = entries(before.id, kept.version + 1, advanced.effects)
        after, link = recorded(Happened(event, advanced.conversation, advanced.effects, now_ms))
        changes = [self._conversations.change(after, kept.version, outbox, dossier=[link.value])]
        if joins is not None:
            changes.append(self._conversations.change(joins, 0, ()))
        notes = self._conversations.agenda_notes(after, kept.notes, now_ms)
        keep_ms = self._conversations.keep_ms
        committed = await self._store.commit(changes, now_ms, OUTBOX_LEASE_MS, keep_ms, notes=notes)
        if committed.outcome != "stored":
            return None
        self._conversations.count(after, advanced.effects, now_ms)
        return Applied(after, advanced.effects, committed.outbox)


def _same_bill(conversation: Conversation, wish: Wanted) -> bool:
    """Whether another stage of the same bill is told there: that is no second payment."""
    bill = wish.matter.bill
    return bill is not None and any(
        matter.bill is not None and matter.bill.statement == bill.statement for matter in conversation.matters
    )
