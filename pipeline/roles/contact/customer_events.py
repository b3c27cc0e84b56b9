"""Customer events: which of them make a customer's numbers doubtful, and since when.

A SIM card that was changed, calls that are forwarded, a number that was changed: whoever answers there may be the thief.
Read at least once, in the order of each customer; an event read again changes nothing.
"""

import msgspec

from pipeline.core import wishes
from pipeline.core.contact_facts import moment_ms
from pipeline.core.records import CustomerEvent
from pipeline.ports import Record
from pipeline.ports_contact import ContactStore, Note
from pipeline.roles.contact.conversations import Conversations
from pipeline.roles.contact.directory import wishes_note
from pipeline.roles.contact.outbox import OUTBOX_LEASE_MS

_decoder = msgspec.json.Decoder(CustomerEvent)


class NoEvent(ValueError):
    """Why a record is no customer event: the field, if one is to blame, and what is wrong; no values."""

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class CustomerEvents:
    """Writes what events say into the customers' notes."""

    def __init__(self, store: ContactStore, conversations: Conversations) -> None:
        self._store = store
        self._conversations = conversations

    async def take(self, record: Record) -> None:
        """Returns when it is stored. Raises NoEvent and `StoreDown`."""
        try:
            event = _decoder.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoEvent(None, f"not a customer event: {error}") from error
        if event.type not in wishes.DOUBTFUL:
            return
        at_ms = moment_ms(event.time)
        if at_ms is None:
            raise NoEvent("time", "time must be RFC 3339 with a zone, such as 2026-01-31T08:30:00+08:00")
        key = wishes_note(event.customer)
        stored = False
        while not stored:
            before = await self._store.note(key)
            after = wishes.encode(wishes.after_event(wishes.read_wishes(before), event.type, at_ms))
            stored = before == after or await self._write(Note(key, before, after, None))

    async def _write(self, note: Note) -> bool:
        now_ms, keep_ms = self._conversations.now_ms(), self._conversations.keep_ms
        committed = await self._store.commit([], now_ms, OUTBOX_LEASE_MS, keep_ms, notes=[note])
        return committed.outcome == "stored"
