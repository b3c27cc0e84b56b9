"""What each role does in Redis: the commands and keys that its user must be allowed, and no more.

A script whose fourth command is refused has done three: it is not undone. So rights are asked for before a role starts,
not met one by one.
"""

from typing import NamedTuple

from redis.asyncio import Redis

# Only Redis 7 and its successors can tell; the key alone is enough for a question about a command on one key.
_MISSING = """
local lacking = {}
if not redis.acl_check_cmd then return lacking end
for _, command in ipairs(ARGV) do
  if not redis.acl_check_cmd(command, KEYS[1]) then lacking[#lacking + 1] = command end
end
return lacking
"""


class Rights(NamedTuple):
    """Commands on keys that match one of these patterns below the installation's prefix. Those in `SCRIPTS` come to all."""

    keys: tuple[str, ...]
    commands: tuple[str, ...]


SCRIPTS = ("evalsha", "script|load")
RIGHTS = {
    "scorer": Rights(
        ("profiles:*",),
        (
            "append", "getrange", "hdel", "hget", "hmget", "hscan", "hset", "hsetnx", "lindex", "llen", "lpop", "rpush",
            "unlink",
        ),
    ),
    "contact": Rights(
        ("contact:*",),
        (
            "del", "exists", "get", "hdel", "hget", "hlen", "hmget", "hscan", "hset", "lrange", "pexpire", "rpush", "scan", "set",
            "zadd", "zcard", "zrangebyscore", "zrem", "zscore",
        ),
    ),
    "reminder": Rights(
        ("contact:reminder:*", "contact:note:a:*", "contact:note:f:*"),
        (
            "get", "hdel", "hget", "hset", "mget", "set", "zadd", "zcount", "zrange", "zrangebyscore", "zrank", "zrem",
            "zscore",
        ),
    ),
    "learner": Rights(("lease:*",), ("del", "exists", "get", "incr", "pexpire", "set")),
}  # fmt: skip


def rule(role: str, prefix: str = "") -> str:
    """The words of ``ACL SETUSER`` that give the role's user its rights and no others."""
    keys, commands = RIGHTS[role]
    patterns = [f"~{prefix}{each}" for each in keys]
    return " ".join(["resetchannels", "-@all", *patterns, *(f"+{name}" for name in (*SCRIPTS, *commands))])


async def missing(client: Redis, rights: Rights, prefix: str) -> list[str]:
    """Commands that the connected user lacks. Raises NoPermissionError when it may not even ask."""
    script, lacking = client.register_script(_MISSING), dict[str, None]()
    for pattern in rights.keys:
        answer = await script(keys=[prefix + pattern.replace("*", "rights")], args=rights.commands)
        lacking |= dict.fromkeys(name.decode() for name in answer)
    return list(lacking)
