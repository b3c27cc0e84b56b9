"""A lease in Redis: one holder of a name at a time, each new holder with a higher epoch.

The epoch only rises while the store keeps its data; a store that lost it may repeat one, so whoever reads what a holder
published must not trust the epoch alone (the learner also looks at the newest epoch on its topic).
"""

from redis.asyncio import Redis

from pipeline.adapters.redis.connection import store_down_as_such

_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local epoch = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[1])
return epoch
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisLease:
    """The Lease port. Keys carry the installation's prefix."""

    def __init__(self, client: Redis, prefix: str = "") -> None:
        self._prefix = prefix
        self._acquire = client.register_script(_ACQUIRE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)

    def _keys(self, name: str) -> list[str]:
        held = f"{self._prefix}lease:{{{name}}}"
        return [held, f"{held}:epoch"]

    async def acquire(self, name: str, ttl_s: float) -> int | None:
        with store_down_as_such():
            epoch = await self._acquire(keys=self._keys(name), args=[int(ttl_s * 1000)])
            return None if epoch is None else int(epoch)

    async def renew(self, name: str, epoch: int, ttl_s: float) -> bool:
        with store_down_as_such():
            return bool(await self._renew(keys=self._keys(name)[:1], args=[epoch, int(ttl_s * 1000)]))

    async def release(self, name: str, epoch: int) -> None:
        with store_down_as_such():
            await self._release(keys=self._keys(name)[:1], args=[epoch])
