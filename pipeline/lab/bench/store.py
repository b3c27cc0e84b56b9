"""Redis as the benchmark needs it beside the product's own store code: is it there, what did it do, clean it up."""

from contextlib import aclosing
from typing import cast

import msgspec

from pipeline.adapters.redis.connection import connect, store_down_as_such
from pipeline.lab.bench.failed import BenchFailed
from pipeline.ports import StoreDown

SLOW_US = 500
"""Commands that take longer are noted while the longest one is looked for."""
SLOW_ENTRIES = 128
SCAN_KEYS = 1_000
_THRESHOLD = "slowlog-log-slower-than"


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

    async def watch(self) -> str:
        """From now on note long commands; answers the server's setting, to be given back to `longest`."""
        async with aclosing(connect(self.url)) as client:
            before = str((await client.config_get(_THRESHOLD))[_THRESHOLD])
            await client.config_set(_THRESHOLD, SLOW_US)
            await client.slowlog_reset()
            return before

    async def longest(self, before: str) -> Longest:
        """The longest command since `watch`, and the server's own setting put back."""
        async with aclosing(connect(self.url)) as client:
            slow = await client.slowlog_get(SLOW_ENTRIES)
            await client.config_set(_THRESHOLD, before)
        if not slow:
            return Longest(f"none above {SLOW_US / 1e3:g} ms", 0.0)
        worst = max(slow, key=lambda entry: int(entry["duration"]))
        return Longest(worst["command"].split()[0].decode(), int(worst["duration"]) / 1e3)
