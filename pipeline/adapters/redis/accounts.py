"""Accounts, when each is looked at next, and the reminder role's outbox in Redis: on the server of the contact store, whose
notes the accounts' records are.

What follows from an event is decided in the core; here an account's record is only compared with what was read and
written with all that belongs to it, in one Lua step. The same demands on the server as the contact store's:
``appendfsync always``, ``noeviction``, no sharded cluster.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from pipeline.adapters.redis.accounts_lua import (
    CLAIM,
    COMMIT,
    DAY,
    MARK,
    PUT_DUE,
)
from pipeline.adapters.redis.connection import store_down_as_such
from pipeline.adapters.redis.outbox_lua import PUBLISHED, UNPUBLISHED
from pipeline.ports_contact import OutboxEntry
from pipeline.ports_reminder import (
    AccountChange,
    AccountCommitted,
    AccountMove,
    DueAccount,
    Scheduled,
    Shift,
)

KEEP_MS = 200 * 86_400_000
"""How long the record of an account is kept of which nothing is owed: events repeated from the log, as old as a topic
keeps them, are still known."""
_pack = msgspec.msgpack.encode


class RedisAccountStore:
    """The AccountStore port. Every method raises `StoreDown` while the server does not answer."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._redis = client
        self._own = f"{prefix}contact:reminder:"
        self._accounts = f"{prefix}contact:note:a:"
        self._marks = f"{prefix}contact:note:f:"
        self._commit = client.register_script(COMMIT)
        self._claim = client.register_script(CLAIM)
        self._day = client.register_script(DAY)
        self._put_due = client.register_script(PUT_DUE)
        self._unpublished = client.register_script(UNPUBLISHED)
        self._published = client.register_script(PUBLISHED)
        self._mark = client.register_script(MARK)

    async def _run(self, script: Any, *args: bytes | str | int, notes: str = "") -> Any:
        with store_down_as_such():
            return await script(keys=[self._own, notes or self._accounts], args=args)

    async def position(self, partition: int) -> int | None:
        stored = await self._field("positions", partition)
        return None if stored is None else int(stored)

    async def _field(self, name: str, partition: int) -> bytes | None:
        with store_down_as_such():
            found = await cast(Awaitable[Any], self._redis.hget(f"{self._own}{name}", str(partition)))
        return cast("bytes | None", found)

    async def read(self, accounts: Sequence[str]) -> Sequence[bytes]:
        if not accounts:
            return []
        with store_down_as_such():
            found = await self._redis.mget([f"{self._accounts}{account}" for account in accounts])
        return [cast(bytes, record or b"") for record in found]

    async def commit(
        self,
        changes: Sequence[AccountChange],
        now_ms: int,
        lease_ms: int,
        move: AccountMove | None = None,
    ) -> AccountCommitted:
        step = {"changes": [_packed(change) for change in changes], "move": _packed_move(move)}
        records = [record for change in changes for record in (change.before, change.after)]
        answer = await self._run(self._commit, _pack(step), now_ms, lease_ms, KEEP_MS, *records)
        return cast(AccountCommitted, answer.decode())

    async def claim(self, partitions: Sequence[int], now_ms: int, lease_ms: int, limit: int) -> Sequence[DueAccount]:
        found = await self._run(self._claim, now_ms, now_ms + lease_ms, limit, *partitions)
        return [
            DueAccount(account.decode(), record, int(due), int(partition)) for account, record, due, partition in found
        ]

    async def day(
        self, partition: int, from_ms: int, until_ms: int, after: Scheduled | None, limit: int
    ) -> Sequence[Scheduled]:
        due_ms, account = (after.due_ms, after.account) if after else (0, "")
        found = await self._run(self._day, partition, from_ms, until_ms, due_ms, account, limit)
        return [Scheduled(name.decode(), int(at)) for name, at in zip(found[::2], found[1::2], strict=True)]

    async def put_due(self, partition: int, shifts: Sequence[Shift]) -> int:
        return int(await self._run(self._put_due, partition, *(value for shift in shifts for value in shift)))

    async def planned(self, partition: int) -> str:
        return (await self._field("planned", partition) or b"").decode()

    async def put_planned(self, partition: int, what: str) -> None:
        with store_down_as_such():
            await cast(Awaitable[Any], self._redis.hset(f"{self._own}planned", str(partition), what))

    async def unpublished(self, now_ms: int, lease_ms: int, limit: int) -> Sequence[OutboxEntry]:
        found = await self._run(self._unpublished, now_ms, now_ms + lease_ms, limit)
        return [OutboxEntry(name.decode(), topic.decode(), key.decode(), value) for name, topic, key, value in found]

    async def published(self, ids: Sequence[str]) -> None:
        if ids:
            await self._run(self._published, *ids)

    async def mark(self, until_ms: Mapping[int, int]) -> None:
        if until_ms:
            await self._run(self._mark, *(value for each in until_ms.items() for value in each), notes=self._marks)


def _packed(change: AccountChange) -> tuple[str, int, int | bool, list[tuple[str, str, str, str]], bool]:
    """(Outbox values are JSON and go as text: Redis 7's cmsgpack does not know MessagePack's binary type.)"""
    outbox = [(entry.id, entry.topic, entry.key, entry.value.decode()) for entry in change.outbox]
    due_ms = False if change.due_ms is None else change.due_ms
    return change.account, change.partition, due_ms, outbox, change.stays


def _packed_move(move: AccountMove | None) -> tuple[int, str, str] | bool:
    if move is None:
        return False
    return move.partition, "" if move.before is None else str(move.before), str(move.after)
