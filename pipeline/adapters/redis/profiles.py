"""Card rows in Redis: one hash of rows and one small hash of ownership per partition.

Ownership is a random token. A save carries the token, a sequence number one above the stored one, the next input offset
and the changed rows, and is one Lua step: it is applied whole, or refused because somebody else took the partition (or
because the server came back with older data). A counter would not do as a token: a server that lost its last second
hands out the same number again.
"""

import struct
from collections.abc import Mapping
from typing import cast

from redis.asyncio import Redis

from pipeline.adapters.redis.connection import store_down_as_such
from pipeline.ports import Saved, Taken

SCAN_ROWS = 10_000
"""Rows per HSCAN call: a few milliseconds of the server's time."""

_TAKE = """
local old = redis.call('HMGET', KEYS[1], 'token', 'sequence', 'next')
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return old
"""

# Lua's unpack fails at about 8,000 values, hence the slices of 2,000. All rows come as one argument, because thousands
# of arguments cost more to parse than one string to cut up.
_SAVE = """
local held = redis.call('HMGET', KEYS[1], 'token', 'sequence')
local sequence, stored = tonumber(ARGV[2]), tonumber(held[2] or '0')
if held[1] ~= ARGV[1] then return 'refused' end
if stored == sequence then return 'already' end
if stored ~= sequence - 1 then return 'refused' end
local values, blob, at = {}, ARGV[4], 1
while at <= #blob do values[#values + 1], at = struct.unpack('>I2c0', blob, at) end
for i = 1, #values, 2000 do
  redis.call('HSET', KEYS[2], unpack(values, i, math.min(i + 1999, #values)))
end
redis.call('HSET', KEYS[1], 'sequence', sequence, 'next', ARGV[3])
return 'saved'
"""

_CLAIM_LAYOUT = """
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
"""

_length = struct.Struct(">H").pack


def pack_rows(rows: Mapping[bytes, bytes]) -> bytes:
    """Card, row, card, row …, each behind its length (big-endian, 16 bits)."""
    return b"".join([_length(len(piece)) + piece for pair in rows.items() for piece in pair])


class RedisProfiles:
    """The ProfileStore port. Keys carry the installation's prefix and a hash tag per partition."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._redis = client
        self._prefix = prefix
        self._take = client.register_script(_TAKE)
        self._save = client.register_script(_SAVE)
        self._claim = client.register_script(_CLAIM_LAYOUT)

    def _keys(self, partition: int) -> tuple[str, str]:
        tag = f"{self._prefix}profiles:{{{partition}}}"
        return f"{tag}:owner", f"{tag}:rows"

    async def layout(self, partitions: int) -> int:
        """The number of partitions these rows were made for: ``partitions`` when nothing was stored yet."""
        with store_down_as_such():
            key = f"{self._prefix}profiles:layout"
            return int(await self._claim(keys=[key], args=["murmur2-partitions", partitions]))

    async def take(self, partition: int, token: str) -> Taken:
        with store_down_as_such():
            previous, sequence, following = await self._take(keys=[self._keys(partition)[0]], args=[token])
            return Taken(token, *_place(sequence, following), previous.decode() if previous else None)

    async def position(self, partition: int) -> Taken:
        with store_down_as_such():
            found = await self._redis.hmget(self._keys(partition)[0], ["token", "sequence", "next"])
            token, sequence, following = cast(list[bytes | None], found)  # the client does not decode
            return Taken(token.decode() if token else "", *_place(sequence, following), None)

    async def load(self, partition: int) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        cursor = 0
        with store_down_as_such():
            while True:
                cursor, found = await self._redis.hscan(self._keys(partition)[1], cursor, count=SCAN_ROWS)
                rows.update(cast(dict[bytes, bytes], found))
                if cursor == 0:
                    return rows

    async def save(
        self, partition: int, token: str, sequence: int, next_offset: int, rows: Mapping[bytes, bytes]
    ) -> Saved:
        with store_down_as_such():
            answer = await self._save(
                keys=list(self._keys(partition)), args=[token, sequence, next_offset, pack_rows(rows)]
            )
        match answer:
            case b"saved":
                return "saved"
            case b"already":
                return "already"
            case _:
                return "refused"


def _place(sequence: bytes | None, following: bytes | None) -> tuple[int, int | None]:
    return int(sequence or 0), None if following is None else int(following)
