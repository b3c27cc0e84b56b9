"""What reached whom, in Redis: one hash for each period, a field for each arm, forgotten when it no longer counts.

Increments of several workers add up. They are made by scripts of commands that the contact role may use anyhow, so that
a bank needs no new right for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from pipeline.adapters.redis.connection import store_down_as_such
from pipeline.core.reach import PERIOD_MS, PERIODS, Arm, Tally

KEEP_MS = (PERIODS + 1) * PERIOD_MS
"""After the last increment."""
_pack = msgspec.msgpack.encode

# KEYS: the hash. ARGV: [[field, n], …], how long to keep.
_ADD = """
for _, each in ipairs(cmsgpack.unpack(ARGV[1])) do
  redis.call('HSET', KEYS[1], each[1], (tonumber(redis.call('HGET', KEYS[1], each[1])) or 0) + each[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS: the hashes. ARGV: fields.
_COUNTS = """
local found = {}
for number, key in ipairs(KEYS) do found[number] = redis.call('HMGET', key, unpack(ARGV)) end
return found
"""
MAX_ARMS = 500
"""Asked for at a time; Lua's `unpack` fails at 8,000 values."""


class RedisReach:
    """The Reach port. Keys carry the installation's prefix."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._prefix = f"{prefix}contact:reach:"
        self._add = client.register_script(_ADD)
        self._counts = client.register_script(_COUNTS)

    async def add(self, period: int, counted: Mapping[Arm, Tally]) -> None:
        fields = [
            (f"{arm.way} {arm.cohort} {what}", int(number))
            for arm, tally in counted.items()
            for what, number in tally._asdict().items()
            if number
        ]
        if fields:
            with store_down_as_such():
                await self._add(keys=[f"{self._prefix}{period}"], args=[_pack(fields), KEEP_MS])

    async def counts(self, periods: Sequence[int], arms: Sequence[Arm]) -> Mapping[Arm, Sequence[Tally]]:
        found: dict[Arm, Sequence[Tally]] = {}
        for start in range(0, len(arms), MAX_ARMS):
            found |= await self._some(periods, arms[start : start + MAX_ARMS])
        return found

    async def _some(self, periods: Sequence[int], arms: Sequence[Arm]) -> Mapping[Arm, Sequence[Tally]]:
        fields = [f"{arm.way} {arm.cohort} {what}" for arm in arms for what in Tally._fields]
        with store_down_as_such():
            answer: Any = await self._counts(keys=[f"{self._prefix}{period}" for period in periods], args=fields)
        numbers = [[float(value or 0) for value in row] for row in answer]
        return {arm: [Tally(row[2 * place], row[2 * place + 1]) for row in numbers] for place, arm in enumerate(arms)}
