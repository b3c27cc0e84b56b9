"""The fixtures' servers keep their data over a kill and a restart, and can be frozen; card rows saved there survive it."""

import asyncio
import itertools
import os
import time
from pathlib import Path

import pytest
import redis
from servers import RedisServer

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import SCAN_ROWS, WHOLE_ROWS, RedisProfiles
from pipeline.core.profile_row import EMPTY_ROW

_numbers = itertools.count()
ROWS = {b"tok_t_%024x" % number: EMPTY_ROW[:-8] + number.to_bytes(8, "little") for number in range(30_000)}


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.redis
def test_redis_keeps_what_it_acknowledged_over_a_kill(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, appendfsync="always")
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == b"value"
            assert client.config_get("appendfsync")["appendfsync"] == "always"
    finally:
        server.stop()


@pytest.mark.redis
def test_a_frozen_server_can_still_be_stopped(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    pid = server.pid
    server.pause()
    try:
        deadline = time.monotonic() + 20.0
        while process_state(pid) != "T":  # the signal is on its way
            assert time.monotonic() < deadline
    finally:
        server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.redis
def test_no_step_of_a_large_save_carries_more_rows_than_a_small_one(redis_server: RedisServer) -> None:
    """Counted in the server by what the commands carry, not timed: how long a step takes is the machine's affair."""

    async def go() -> None:
        async with connect(redis_server.url) as client:
            prefix = f"profiles{next(_numbers)}-"
            store = RedisProfiles(client, prefix)
            await store.take(0, "a")
            await client.config_resetstat()
            assert await store.save(0, "a", 1, len(ROWS), ROWS) == "saved"
            stats = await client.info("commandstats")
            assert stats["cmdstat_hset"]["calls"] >= 2 * len(ROWS) / WHOLE_ROWS
            assert len(ROWS) == await client.hlen(f"{prefix}profiles:{{0}}:rows")
            pieces = [some async for some in store.load(0)]
            assert {card: row for some in pieces for card, row in some.items()} == ROWS
            assert max(map(len, pieces)) <= 2 * SCAN_ROWS
            await client.unlink(f"{prefix}profiles:{{0}}:rows")

    asyncio.run(go())


@pytest.mark.redis
def test_a_server_killed_anywhere_in_a_large_save_has_all_of_it_or_none(redis_server: RedisServer) -> None:
    async def go() -> None:
        prefix = f"profiles{next(_numbers)}-"
        async with connect(redis_server.url) as client:
            store = RedisProfiles(client, prefix, 100, 50)
            await store.take(0, "a")
            assert await store.save(0, "a", 1, 1, dict.fromkeys(ROWS, EMPTY_ROW)) == "saved"
        for delay in (0, 3, 40, 200, 500):
            async with connect(redis_server.url) as client:
                store = RedisProfiles(client, prefix, 100, 50)
                taken = await store.take(0, "a")
                saving = asyncio.create_task(store.save(0, "a", taken.sequence + 1, taken.sequence + 1, ROWS))
                for _ in range(delay):
                    await asyncio.sleep(0)
                redis_server.kill()
                await asyncio.wait({saving})
                saving.exception()
            redis_server.start()
            async with connect(redis_server.url) as client:
                store = RedisProfiles(client, prefix, 100, 50)
                found = await store.take(0, "b")
                rows = {card: row async for some in store.load(0) for card, row in some.items()}
                expected = dict.fromkeys(ROWS, EMPTY_ROW) if found.sequence == 1 else ROWS
                assert rows == expected, f"half a save after {delay} turns"

    asyncio.run(go())
