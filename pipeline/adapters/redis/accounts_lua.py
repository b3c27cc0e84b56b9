"""The Lua steps of the account store. KEYS[1] is the beginning of the keys that only it uses, KEYS[2] that of the contact
store's notes on accounts (or, for `MARK`, on partitions).

Keys below the first: ``positions`` (partition → offset to read next), ``due:<partition>`` (schedule: account → unix ms),
``outbox`` and ``outbox-due``, ``planned`` (partition → what it was planned for). The record of an account is the note.
"""

# ARGV: the step packed, now, the lease, how long the record of an account that nothing is due of is kept; then for each
# change its record before and after.
COMMIT = """
local p, notes, a = KEYS[1], KEYS[2], cmsgpack.unpack(ARGV[1])
local now, lease, keep = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if a.move then
  local stored = redis.call('HGET', p .. 'positions', a.move[1]) or ''
  if stored == a.move[3] then return 'already' end
  if stored ~= a.move[2] then return 'moved' end
end
for i, c in ipairs(a.changes) do
  if (redis.call('GET', notes .. c[1]) or '') ~= ARGV[3 + 2 * i] then return 'changed' end
end
if a.move then redis.call('HSET', p .. 'positions', a.move[1], a.move[3]) end
for i, c in ipairs(a.changes) do
  if c[3] then
    redis.call('SET', notes .. c[1], ARGV[4 + 2 * i])
    local due = string.format('%.0f', c[3])
    if c[5] then redis.call('ZADD', p .. 'due:' .. c[2], 'NX', due, c[1])
    else redis.call('ZADD', p .. 'due:' .. c[2], due, c[1]) end
  else
    redis.call('SET', notes .. c[1], ARGV[4 + 2 * i], 'PX', keep)
    redis.call('ZREM', p .. 'due:' .. c[2], c[1])
  end
  for _, e in ipairs(c[4]) do
    redis.call('HSET', p .. 'outbox', e[1], cmsgpack.pack({e[2], e[3], e[4]}))
    redis.call('ZADD', p .. 'outbox-due', string.format('%.0f', now + lease), e[1])
  end
end
return 'stored'
"""

# ARGV: now, the leases' end, how many, the partitions.
CLAIM = """
local p, left, answer = KEYS[1], tonumber(ARGV[3]), {}
for n = 4, #ARGV do
  local key = p .. 'due:' .. ARGV[n]
  local ripe = left > 0 and redis.call('ZRANGEBYSCORE', key, '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, left) or {}
  for i = 1, #ripe, 2 do
    local record = redis.call('GET', KEYS[2] .. ripe[i])
    if record then
      redis.call('ZADD', key, ARGV[2], ripe[i])
      answer[#answer + 1] = {ripe[i], record, ripe[i + 1], ARGV[n]}
      left = left - 1
    else
      redis.call('ZREM', key, ripe[i])
    end
  end
end
return answer
"""

# ARGV: partition, from, until, the last page's last moment and account ('' for the first page), how many.
DAY = """
local key, start = KEYS[1] .. 'due:' .. ARGV[1], nil
if ARGV[5] == '' then
  start = redis.call('ZCOUNT', key, '-inf', '(' .. ARGV[2])
else
  local score = redis.call('ZSCORE', key, ARGV[5])
  if score and tonumber(score) == tonumber(ARGV[4]) then
    start = redis.call('ZRANK', key, ARGV[5]) + 1
  else
    start = redis.call('ZCOUNT', key, '-inf', '(' .. ARGV[4])
  end
end
local answer = redis.call('ZRANGE', key, start, start + tonumber(ARGV[6]) - 1, 'WITHSCORES')
for i = #answer, 2, -2 do
  if tonumber(answer[i]) < tonumber(ARGV[3]) then break end
  answer[i], answer[i - 1] = nil, nil
end
return answer
"""

# ARGV: partition; then for each its account, moment before and after.
PUT_DUE = """
local key, moved = KEYS[1] .. 'due:' .. ARGV[1], 0
for i = 2, #ARGV, 3 do
  local score = redis.call('ZSCORE', key, ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    redis.call('ZADD', key, ARGV[i + 2], ARGV[i])
    moved = moved + 1
  end
end
return moved
"""

# ARGV: partition, moment, partition, moment …
MARK = """
for i = 1, #ARGV, 2 do
  local known = tonumber(redis.call('GET', KEYS[2] .. ARGV[i]) or '0')
  if tonumber(ARGV[i + 1]) > known then redis.call('SET', KEYS[2] .. ARGV[i], ARGV[i + 1]) end
end
return 0
"""
