"""Conversations, their schedule, the outbox and the customers' directory in Redis.

What may happen to a conversation is decided in the core; here a change is only compared with what it was read from and
written with all that belongs to it, in one Lua step. Use a server with ``appendfsync always`` and ``noeviction``: what
this store forgets, a customer may be asked twice. Keys are made inside the scripts from the installation's prefix, so
the server must not be a sharded cluster.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from pipeline.adapters.redis.connection import store_down_as_such
from pipeline.adapters.redis.contacts_lua import (
    CLAIM,
    COMMIT,
    CONVERSATION,
    CUSTOMER,
    DOSSIER,
    LOOK,
    OPENED,
    OVERDUE,
    PUT_CUSTOMERS,
    STRAYS,
    SWEEP,
)
from pipeline.adapters.redis.contacts_packing import (
    ENDED,
    Head,
    packed_entries,
    packed_state,
    unpacked_card,
    unpacked_entries,
    unpacked_state,
)
from pipeline.adapters.redis.outbox_lua import PUBLISHED, UNPUBLISHED
from pipeline.core.contact_policy import URGENCY
from pipeline.core.conversation import contact_id
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
)

SEQUENCE_MS = 600_000
"""How long a card's last number is remembered: as long as a clock may be behind the one that made it."""
_pack = msgspec.msgpack.encode
_MARK = b'"sequence":0'


class RedisContactStore:
    """The ContactStore port. Every method raises `StoreDown` while the server does not answer."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._redis = client
        self._prefix = f"{prefix}contact:"
        self._look = client.register_script(LOOK)
        self._commit = client.register_script(COMMIT)
        self._conversation = client.register_script(CONVERSATION)
        self._customer = client.register_script(CUSTOMER)
        self._dossier = client.register_script(DOSSIER)
        self._claim = client.register_script(CLAIM)
        self._sweep = client.register_script(SWEEP)
        self._strays = client.register_script(STRAYS)
        self._unpublished = client.register_script(UNPUBLISHED)
        self._published = client.register_script(PUBLISHED)
        self._put_customers = client.register_script(PUT_CUSTOMERS)
        self._opened = client.register_script(OPENED)
        self._overdue = client.register_script(OVERDUE)

    async def _run(self, script: Any, *args: bytes | str | int) -> Any:
        with store_down_as_such():
            return await script(keys=[self._prefix], args=args)

    async def position(self, partition: int) -> ReadUpTo | None:
        with store_down_as_such():
            answer = self._redis.hget(f"{self._prefix}positions", str(partition))
            stored = cast("bytes | None", await cast(Awaitable[Any], answer))
        if stored is None:
            return None
        log_next, source_next = stored.split(b":")
        return ReadUpTo(int(log_next), int(source_next))

    async def look(self, asked: Sequence[Asked]) -> Sequence[Seen]:
        packed = [(one.card, one.customer or "", one.alert, contact_id(one.card, one.alert)) for one in asked]
        return [
            Seen(
                _kept(conversation) if conversation else None,
                bool(known),
                _text(customer) if customer else None,
                record or None,
                _notes(notes),
            )
            for conversation, known, customer, record, notes in await self._run(self._look, _pack(packed))
        ]

    async def commit(
        self,
        changes: Sequence[Change],
        now_ms: int,
        lease_ms: int,
        keep_ms: int,
        move: Move | None = None,
        notes: Sequence[Note] = (),
    ) -> Committed:
        packed = _pack(
            {
                "changes": [_packed(change) for change in changes],
                "move": _packed_move(move),
                "notes": [(one.key, one.before.decode(), one.after.decode(), one.keep_ms or 0) for one in notes],
                "sequence_ms": SEQUENCE_MS,
            }
        )
        values = [value for change in changes for value in (_head(change), _dossier(change))]
        answer = await self._run(self._commit, packed, now_ms, lease_ms, keep_ms, *values)
        outcome = _text(answer[0])
        if outcome != "stored":
            return Committed(cast(Any, outcome))
        numbers = iter(answer[1:])
        return Committed("stored", [_numbered(entry, numbers) for change in changes for entry in change.outbox])

    async def conversation(self, contact: str) -> Kept | None:
        found = await self._run(self._conversation, contact)
        return _kept(*found) if found else None

    async def note(self, key: str) -> bytes:
        with store_down_as_such():
            found = await cast(Awaitable[Any], self._redis.get(f"{self._prefix}note:{key}"))
        return cast(bytes, found or b"")

    async def customer(self, customer: str) -> Known:
        record, notes = await self._run(self._customer, customer)
        return Known(record or None, _notes(notes))

    async def dossier(self, contact: str) -> Sequence[bytes]:
        return [
            entry for piece in await self._run(self._dossier, contact) for entry in unpacked_entries(piece, contact)
        ]

    async def claim(self, now_ms: int, lease_ms: int, limit: int, others: int = 0) -> Sequence[Kept]:
        found = await self._run(self._claim, now_ms, now_ms + lease_ms, limit, others, *map(_due_key, URGENCY))
        return [_kept(*each) for each in found]

    async def sweep(self, cursor: int, limit: int) -> Swept:
        return Swept(*map(int, await self._run(self._sweep, cursor, limit)))

    async def strays(self, cursor: int, limit: int) -> Strays:
        following, *found = await self._run(self._strays, cursor, limit, *map(_due_key, URGENCY))
        return Strays(int(following), [_text(contact) for contact in found])

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        found = await self._run(self._unpublished, now_ms, now_ms + lease_ms, limit)
        return [OutboxEntry(_text(name), _text(topic), _text(key), value) for name, topic, key, value in found]

    async def published(self, ids: Sequence[str]) -> None:
        if ids:
            await self._run(self._published, *ids)

    async def put_customers(self, entries: Sequence[DirectoryEntry]) -> None:
        packed = [
            (entry.customer, (entry.record or b"").decode(), list(entry.cards), list(entry.notes)) for entry in entries
        ]
        await self._run(self._put_customers, _pack(packed))

    async def open_count(self, class_: str = URGENCY[0]) -> int:
        with store_down_as_such():
            if class_ == URGENCY[0]:
                return int(await cast(Awaitable[Any], self._redis.hlen(f"{self._prefix}open")))
            return int(await cast(Awaitable[Any], self._redis.zcard(f"{self._prefix}{_due_key(class_)}")))

    async def opened(self) -> AsyncIterator[Sequence[Opened]]:
        cursor = "0"
        while True:
            following, *found = await self._run(self._opened, cursor)
            yield [
                Opened(kept.contact, kept.version, kept.value, int(float(due)) if due else None)
                for kept, due in ((_kept(conversation), due) for conversation, due in found)
            ]
            cursor = _text(following)
            if cursor == "0":
                return

    async def overdue(self, now_ms: int) -> Sequence[str]:
        return [_text(name) for name in await self._run(self._overdue, now_ms)]


def _due_key(class_: str) -> str:
    """The schedule of a class."""
    return "due" if class_ == URGENCY[0] else f"due:{class_}"


def _text(value: bytes) -> str:
    return value.decode()


def _kept(found: Sequence[Any], record: bytes = b"", notes: Sequence[bytes] = ()) -> Kept:
    """``found``: contact, version, card, customer, state."""
    contact, card, customer = _text(found[0]), unpacked_card(found[2]), _text(found[3])
    return Kept(
        contact, int(found[1]), unpacked_state(found[4], contact, card, customer), record or None, _notes(notes)
    )


def _notes(found: Sequence[bytes]) -> dict[str, bytes]:
    """``found``: key, value, key, value …"""
    return {_text(key): value for key, value in zip(found[::2], found[1::2], strict=True)}


def _head(change: Change) -> bytes:
    card, customer = change.card, change.customer or ""
    due_ms = float(change.due_ms or 0) if change.open else ENDED
    value = packed_state(change.value, change.contact, card, customer)
    return Head(max(change.version + 1, change.becomes), due_ms, card, customer, value).packed()


def _dossier(change: Change) -> bytes:
    return packed_entries(change.dossier, change.contact, sealed=not change.open)


def _packed(change: Change) -> dict[str, object]:
    return {
        "id": change.contact,
        "card": change.card,
        "version": change.version,
        "due": change.due_ms if change.due_ms is not None else False,
        "open": change.open,
        "apart": change.apart,
        "due_key": _due_key(change.class_),
        "alerts": [(alert, contact_id(change.card, alert)) for alert in change.alerts],
        "outbox": [_packed_entry(entry) for entry in change.outbox],
        "dossier_ms": change.dossier_ms,
        "number": change.number,
    }


def _packed_entry(entry: OutboxEntry) -> tuple[str, str, str, str, str | bool]:
    """A numbered value is cut where its number goes. (Values are JSON and go as text: Redis 7's cmsgpack does not know
    MessagePack's binary type.)"""
    if not entry.numbered:
        return entry.id, entry.topic, entry.key, entry.value.decode(), False
    head, tail = entry.value.split(_MARK, 1)
    return entry.id, entry.topic, entry.key, head.decode() + '"sequence":', tail.decode()


def _packed_move(move: Move | None) -> tuple[int, str, str] | bool:
    if move is None:
        return False
    before = f"{move.before.log_next}:{move.before.source_next}" if move.before else ""
    return move.partition, before, f"{move.after.log_next}:{move.after.source_next}"


def _numbered(entry: OutboxEntry, numbers: Any) -> OutboxEntry:
    if not entry.numbered:
        return entry
    return entry._replace(value=entry.value.replace(_MARK, b'"sequence":' + next(numbers), 1), numbered=False)
