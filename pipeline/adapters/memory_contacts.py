"""The contact store in memory: the same steps as the Redis one, for tests and trials in one process.

Each method runs without a pause in between, so each is as atomic as a Lua step. Nothing expires.
"""

from collections.abc import AsyncIterator, Sequence

from pipeline.core.contact_policy import URGENCY
from pipeline.ports_contact import (
    Asked,
    Change,
    Committed,
    DirectoryEntry,
    Kept,
    Known,
    Move,
    Note,
    Opened,
    OutboxEntry,
    ReadUpTo,
    Seen,
    Strays,
    Swept,
    card_note,
)


class MemoryContactStore:
    """A ContactStore. Share one object between workers to share the store."""

    def __init__(self) -> None:
        self.positions: dict[int, ReadUpTo] = {}
        self.kept: dict[str, Kept] = {}
        self.owner: dict[str, str | None] = {}
        self.card_of: dict[str, str] = {}
        self.open: dict[str, str] = {}
        self.alerts: set[str] = set()
        self.due: dict[str, int] = {}
        self.class_of: dict[str, str] = {}
        self.given: dict[str, int | None] = {}
        """The due moment of each conversation as its last change gave it; a lease does not move it."""
        self.outbox: dict[str, OutboxEntry] = {}
        self.outbox_due: dict[str, int] = {}
        self.sequences: dict[str, int] = {}
        self.customers: dict[str, bytes] = {}
        self.holders: dict[str, str] = {}
        self.cards: dict[str, Sequence[str]] = {}
        self.note_keys: dict[str, Sequence[str]] = {}
        self.notes: dict[str, bytes] = {}
        self.dossiers: dict[str, list[bytes]] = {}

    async def position(self, partition: int) -> ReadUpTo | None:
        return self.positions.get(partition)

    async def look(self, asked: Sequence[Asked]) -> Sequence[Seen]:
        return [self._seen(one) for one in asked]

    def _seen(self, asked: Asked) -> Seen:
        customer = asked.customer or self.holders.get(asked.card)
        contact = self.open.get(asked.card)
        return Seen(
            self.kept[contact] if contact else None,
            f"{asked.card}\n{asked.alert}" in self.alerts,
            customer,
            self.customers.get(customer) if customer else None,
            self._notes(customer, asked.card),
        )

    def _notes(self, customer: str | None, card: str) -> dict[str, bytes]:
        keys = (*self.note_keys.get(customer or "", ()), card_note(card))
        return {key: self.notes.get(key, b"") for key in keys}

    async def commit(
        self,
        changes: Sequence[Change],
        now_ms: int,
        lease_ms: int,
        keep_ms: int,
        move: Move | None = None,
        notes: Sequence[Note] = (),
    ) -> Committed:
        if move is not None:
            stored = self.positions.get(move.partition)
            if stored == move.after:
                return Committed("already")
            if stored != move.before:
                return Committed("moved")
        if any(self._is_stale(change) for change in changes):
            return Committed("changed")
        if any(self.notes.get(one.key, b"") != one.before for one in notes):
            return Committed("changed")
        self.notes.update((one.key, one.after) for one in notes if one.after != one.before)
        if move is not None:
            self.positions[move.partition] = move.after
        return Committed("stored", [entry for change in changes for entry in self._apply(change, now_ms, lease_ms)])

    def _is_stale(self, change: Change) -> bool:
        kept = self.kept.get(change.contact)
        if change.version != (kept.version if kept else 0):
            return True
        if change.version == 0 and change.open and not change.apart and change.card in self.open:
            return True
        return any(f"{change.card}\n{alert}" in self.alerts for alert in change.alerts)

    def _apply(self, change: Change, now_ms: int, lease_ms: int) -> list[OutboxEntry]:
        version = max(change.version + 1, change.becomes)
        self.kept[change.contact] = Kept(change.contact, version, change.value)
        if change.number:
            self.sequences[change.card] = max(self.sequences.get(change.card, 0), change.number)
        self.owner[change.contact] = change.customer
        self.card_of[change.contact] = change.card
        self.class_of[change.contact] = change.class_
        self.given[change.contact] = (change.due_ms or 0) if change.open else None
        if change.due_ms is None:
            self.due.pop(change.contact, None)
        else:
            self.due[change.contact] = change.due_ms
        if change.apart:
            pass  # nothing joins it
        elif change.open:
            self.open.setdefault(change.card, change.contact)
        elif self.open.get(change.card) == change.contact:
            del self.open[change.card]
        self.alerts.update(f"{change.card}\n{alert}" for alert in change.alerts)
        self.dossiers.setdefault(change.contact, []).extend(change.dossier)
        entries = [self._numbered(entry, now_ms) for entry in change.outbox]
        for entry in entries:
            self.outbox[entry.id] = entry
            self.outbox_due[entry.id] = now_ms + lease_ms
        return entries

    def _numbered(self, entry: OutboxEntry, now_ms: int) -> OutboxEntry:
        if not entry.numbered:
            return entry
        number = max(self.sequences.get(entry.key, 0) + 1, now_ms)
        self.sequences[entry.key] = number
        return entry._replace(value=entry.value.replace(b'"sequence":0', b'"sequence":%d' % number, 1), numbered=False)

    async def conversation(self, contact: str) -> Kept | None:
        kept = self.kept.get(contact)
        return self._with_customer(kept) if kept else None

    def _with_customer(self, kept: Kept) -> Kept:
        notes = self._notes(self.owner.get(kept.contact), self.card_of[kept.contact])
        return kept._replace(customer=self._record_of(kept.contact), notes=notes)

    def _record_of(self, contact: str) -> bytes | None:
        customer = self.owner.get(contact)
        return self.customers.get(customer) if customer else None

    async def note(self, key: str) -> bytes:
        return self.notes.get(key, b"")

    async def customer(self, customer: str) -> Known:
        notes = {key: self.notes.get(key, b"") for key in self.note_keys.get(customer, ())}
        return Known(self.customers.get(customer), notes)

    async def dossier(self, contact: str) -> Sequence[bytes]:
        return list(self.dossiers.get(contact, ()))

    async def claim(self, now_ms: int, lease_ms: int, limit: int, others: int = 0) -> Sequence[Kept]:
        due = sorted(
            (URGENCY.index(self.class_of[contact]), at, contact) for contact, at in self.due.items() if at <= now_ms
        )
        first = [contact for place, _, contact in due if place == 0][:limit]
        rest = [contact for place, _, contact in due if place > 0][: max(0, min(others, limit - len(first)))]
        ripe = first + rest
        for contact in ripe:
            self.due[contact] = now_ms + lease_ms
        return [self._with_customer(self.kept[contact]) for contact in ripe]

    async def sweep(self, cursor: int, limit: int) -> Swept:
        looked_at = list(self.open.items())[cursor : cursor + limit]
        scheduled = dropped = 0
        for card, contact in looked_at:
            if contact in self.due:
                continue
            if (due_ms := self.given.get(contact)) is not None:
                self.due[contact] = due_ms
                scheduled += 1
            else:
                del self.open[card]
                dropped += 1
        after = cursor + len(looked_at) - dropped
        return Swept(after if after < len(self.open) else 0, scheduled, dropped)

    async def strays(self, cursor: int, limit: int) -> Strays:
        looked_at = list(self.kept)[cursor : cursor + limit]
        found = [contact for contact in looked_at if self.given[contact] is not None and contact not in self.due]
        return Strays(cursor + limit if cursor + limit < len(self.kept) else 0, found)

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        ripe = sorted((at, name) for name, at in self.outbox_due.items() if at <= now_ms)[:limit]
        for _, name in ripe:
            self.outbox_due[name] = now_ms + lease_ms
        return [self.outbox[name] for _, name in ripe]

    async def published(self, ids: Sequence[str]) -> None:
        for name in ids:
            self.outbox.pop(name, None)
            self.outbox_due.pop(name, None)

    async def put_customers(self, entries: Sequence[DirectoryEntry]) -> None:
        for entry in entries:
            self._put(*entry)

    def _put(self, customer: str, record: bytes | None, cards: Sequence[str], notes: Sequence[str]) -> None:
        for card in self.cards.pop(customer, ()):
            if self.holders.get(card) == customer:
                del self.holders[card]
        if record is None:
            self.customers.pop(customer, None)
            self.note_keys.pop(customer, None)
            for key in (f"c:{customer}", f"w:{customer}", f"o:{customer}"):
                self.notes.pop(key, None)
            return
        self.note_keys[customer] = tuple(notes)
        self.customers[customer] = record
        self.cards[customer] = tuple(cards)
        for card in cards:
            self.holders[card] = customer

    async def open_count(self, class_: str = "fraud") -> int:
        if class_ == "fraud":
            return len(self.open)
        return sum(self.class_of[contact] == class_ for contact in self.due)

    async def opened(self) -> AsyncIterator[Sequence[Opened]]:
        for contact in list(self.open.values()):
            kept = self.kept[contact]
            yield [Opened(contact, kept.version, kept.value, self.due.get(contact))]

    async def overdue(self, now_ms: int) -> Sequence[str]:
        return [name for at, name in sorted((at, name) for name, at in self.outbox_due.items()) if at <= now_ms]
