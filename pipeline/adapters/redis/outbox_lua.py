"""The Lua steps of an outbox, which every store that has one keeps alike. KEYS[1] is the prefix of its keys: ``outbox`` (id →
topic, key and value, packed) and ``outbox-due`` (id → when its lease ends)."""

# ARGV: now, the leases' end, how many.
UNPUBLISHED = """
local p, answer = KEYS[1], {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'outbox-due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local packed = redis.call('HGET', p .. 'outbox', id)
  if packed then
    local entry = cmsgpack.unpack(packed)
    redis.call('ZADD', p .. 'outbox-due', ARGV[2], id)
    answer[#answer + 1] = {id, entry[1], entry[2], entry[3]}
  else
    redis.call('ZREM', p .. 'outbox-due', id)
  end
end
return answer
"""

PUBLISHED = """
for _, id in ipairs(ARGV) do
  redis.call('HDEL', KEYS[1] .. 'outbox', id)
  redis.call('ZREM', KEYS[1] .. 'outbox-due', id)
end
return 0
"""
