"""A contact store written by the version before: its hashes, lists and keys are read, and rewritten as they change."""

import asyncio
import itertools
import zlib
from collections.abc import Awaitable, Callable

import pytest
from contact.store_behaviour import KEEP, LEASE, NOW, change, command
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.embedded.store import EmbeddedStore
from pipeline.ports_contact import Asked, DirectoryEntry

_numbers = itertools.count()
Check = Callable[[RedisContactStore, Redis, str], Awaitable[None]]
VALUE = b'{"id":"ct_1","card":"tok_1","state":"escalated","due_ms":%d}' % (NOW + 5)


@pytest.fixture
def on_old(valkey: EmbeddedStore) -> Callable[[Check], None]:
    """Runs a check on a store that holds what the version before wrote for one open conversation."""

    async def go(check: Check) -> None:
        prefix = f"old{next(_numbers)}-"
        p = f"{prefix}contact:"
        async with connect(valkey.url) as client:
            store = RedisContactStore(client, prefix)
            await store.put_customers([DirectoryEntry("cu1", b"record", ["tok_1"])])
            fields = {"version": "3", "value": VALUE, "customer": "cu1", "card": "tok_1"}
            await client.hset(f"{p}conversation:ct_1", mapping=fields)
            await client.hset(f"{p}open", "tok_1", "ct_1")
            await client.zadd(f"{p}due", {"ct_1": NOW + 5})
            await client.set(f"{p}alert:tok_1:tx1", "ct_1", px=KEEP)
            await client.set(f"{p}sequence:tok_1", str(NOW + 100), px=KEEP)
            for entry in (b'{"n":1}', b'{"n":2}'):
                await client.rpush(f"{p}dossier:ct_1", zlib.compress(entry))
            await client.pexpire(f"{p}dossier:ct_1", KEEP)
            await check(store, client, p)

    return lambda check: asyncio.run(go(check))


def test_an_open_conversation_is_read_as_it_was_written(on_old: Callable[[Check], None]) -> None:
    async def check(store: RedisContactStore, client: Redis, p: str) -> None:
        kept = await store.conversation("ct_1")
        assert kept is not None
        assert (kept.version, kept.value, kept.customer) == (3, VALUE, b"record")
        (seen,) = await store.look([Asked("tok_1", None, "tx1")])
        assert seen.open is not None
        assert (seen.open.version, seen.open.value, seen.known) == (3, VALUE, True)
        assert await store.dossier("ct_1") == [b'{"n":1}', b'{"n":2}']
        (claimed,) = await store.claim(NOW + 5, LEASE, 10)
        assert (claimed.contact, claimed.value, claimed.customer) == ("ct_1", VALUE, b"record")

    on_old(check)


def test_its_next_change_writes_the_present_form_and_loses_nothing(on_old: Callable[[Check], None]) -> None:
    async def check(store: RedisContactStore, client: Redis, p: str) -> None:
        stale = change(version=2)
        assert (await store.commit([stale], NOW, LEASE, KEEP)).outcome == "changed"
        more = change(version=3, dossier=[b'{"n":3}'], dossier_ms=KEEP, outbox=[command("e1")])
        done = await store.commit([more], NOW, LEASE, KEEP)
        assert b'"sequence":%d,' % (NOW + 101) in done.outbox[0].value
        kept = await store.conversation("ct_1")
        assert kept is not None
        assert (kept.version, kept.value, kept.customer) == (4, more.value, b"record")
        assert await client.type(f"{p}conversation:ct_1") == b"string"
        assert await store.dossier("ct_1") == [b'{"n":1}', b'{"n":2}', b'{"n":3}']
        end = change(version=4, open=False, due_ms=None, dossier=[b'{"n":4}'], dossier_ms=2 * KEEP)
        assert (await store.commit([end], NOW, LEASE, KEEP)).outcome == "stored"
        assert await store.dossier("ct_1") == [b'{"n":%d}' % n for n in (1, 2, 3, 4)]
        assert KEEP < await client.pttl(f"{p}dossier:ct_1") <= 2 * KEEP
        assert 0 < await client.pttl(f"{p}conversation:ct_1") <= KEEP

    on_old(check)


def test_one_without_a_due_step_gets_the_moment_in_its_value(on_old: Callable[[Check], None]) -> None:
    async def check(store: RedisContactStore, client: Redis, p: str) -> None:
        await client.zrem(f"{p}due", "ct_1")
        assert await store.sweep(0, 10) == (0, 1, 0)
        assert await client.zscore(f"{p}due", "ct_1") == NOW + 5

    on_old(check)


def test_a_worker_of_the_version_before_stops_at_a_conversation_of_this_one(valkey: EmbeddedStore) -> None:
    """It must not take it for gone: it would take its due step away and ask the customer again."""

    async def go() -> None:
        prefix = f"old{next(_numbers)}-"
        async with connect(valkey.url) as client:
            await RedisContactStore(client, prefix).commit([change()], NOW, LEASE, KEEP)
            key = f"{prefix}contact:conversation:ct_1"
            assert await client.exists(key) == 1
            with pytest.raises(ResponseError, match="WRONGTYPE"):
                await client.hmget(key, "version", "value")

    asyncio.run(go())
