"""Redis as the benchmark needs it beside the product's own store code: is it there, what did it do, clean it up."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import cast

import msgspec

from pipeline.adapters.redis.connection import connect, store_down_as_such
from pipeline.lab.bench.failed import BenchFailed
from pipeline.ports import StoreDown

SLOW_US = 500
"""Commands that take longer are noted while the longest one is looked for."""
SLOW_ENTRIES = 10_000
"""So many of them are kept: a load alone may leave a thousand, and the longest must not be forgotten for later ones."""
SCAN_KEYS = 1_000
QUIET_S = 120.0
LOOK_S = 0.1
_COPYING = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "loading")
_SETTINGS = {
    "slowlog-log-slower-than": SLOW_US,
    "slowlog-max-len": SLOW_ENTRIES,
    # beside a rewrite of its append-only file the server is slow at every page it changes: that is not the command's
    "auto-aof-rewrite-percentage": 0,
}


class Longest(msgspec.Struct, frozen=True):
    """The longest command a server ran: its name, milliseconds."""

    command: str
    ms: float


class Store:
    """The Redis server at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def version(self) -> str:
        """Raises BenchFailed when no server answers."""
        try:
            with store_down_as_such():
                async with aclosing(connect(self.url)) as client:
                    info = cast(dict[str, object], await client.info("server"))
        except StoreDown:
            raise BenchFailed(
                f"no Redis server answers at {self.url.split('@')[-1]}: is CARDWATCH_REDIS_URL right?"
            ) from None
        return str(info["redis_version"])

    async def bytes_in(self) -> int:
        """What the server has received since it started."""
        async with aclosing(connect(self.url)) as client:
            info = cast(dict[str, int], await client.info("stats"))
        return int(info["total_net_input_bytes"])

    async def delete(self, prefix: str) -> None:
        """Every key that begins with ``prefix``."""
        async with aclosing(connect(self.url)) as client:
            keys = [key async for key in client.scan_iter(f"{prefix}*", count=SCAN_KEYS)]
            if keys:
                await client.unlink(*keys)

    async def wait_until_quiet(self) -> None:
        """Until the server writes no copy of its data: it begins one after much has been stored, and meanwhile takes a
        processor and is slow at every page it changes. Raises BenchFailed when it does not end."""
        deadline = time.monotonic() + QUIET_S
        async with aclosing(connect(self.url)) as client:
            while True:
                info = cast(dict[str, int], await client.info("persistence"))
                if not any(info.get(name) for name in _COPYING):
                    return
                if time.monotonic() > deadline:
                    raise BenchFailed(f"Redis has been writing a copy of its data for {QUIET_S:g} s")
                await asyncio.sleep(LOOK_S)

    async def watch(self) -> dict[str, str]:
        """From now on note long commands, and rewrite nothing; answers the server's settings, to be given back to `longest`."""
        async with aclosing(connect(self.url)) as client:
            before = {name: str((await client.config_get(name))[name]) for name in _SETTINGS}
            for name, value in _SETTINGS.items():
                await client.config_set(name, value)
            await client.slowlog_reset()
            return before

    async def longest(self, before: Mapping[str, str]) -> Longest:
        """The longest command since `watch`, and the server's own settings put back."""
        async with aclosing(connect(self.url)) as client:
            slow = await client.slowlog_get(SLOW_ENTRIES)
            for name, value in before.items():
                await client.config_set(name, value)
        if not slow:
            return Longest(f"none above {SLOW_US / 1e3:g} ms", 0.0)
        worst = max(slow, key=lambda entry: int(entry["duration"]))
        return Longest(worst["command"].split()[0].decode(), int(worst["duration"]) / 1e3)
