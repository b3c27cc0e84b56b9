"""What is done to card rows in one step inside Redis.

Keys, always those of one partition: its owner hash (``token``, ``sequence``, ``next``, while a journal is written
``staging``, and from its commit until its rows are in place ``pending``), then those the script names.

Every step that writes begins with `FENCE`: whoever is no longer the owner changes nothing. Each leaves behind a state
that others can go on from, also when the server is full and refuses a write half-way: what takes memory comes first.
"""

FENCE = """
local held = redis.call('HMGET', KEYS[1], 'token', 'sequence', 'pending')
if held[1] ~= ARGV[1] then return 'refused' end
local stored = tonumber(held[2] or '0')
"""

# A journal that is not committed goes with its owner.
TAKE = """
local old = redis.call('HMGET', KEYS[1], 'token', 'sequence', 'next', 'pending')
redis.call('HSET', KEYS[1], 'token', ARGV[1])
if not old[4] then
  redis.call('HDEL', KEYS[1], 'staging')
  redis.call('UNLINK', KEYS[2])
end
return old
"""

# A save may be written only one above the stored sequence, and not before the last journal is in place: its rows would
# be put over newer ones.
_NEXT_IN_LINE = """
if held[3] then return 'pending' end
local sequence = tonumber(ARGV[2])
if stored == sequence then return 'already' end
if stored ~= sequence - 1 then return 'refused' end
"""

# Lua's unpack fails at about 8,000 values, hence the slices of 2,000. All rows come as one argument, because thousands
# of arguments cost more to parse than one string to cut up.
_PUT = """
local function put(key, blob)
  local values, at = {}, 1
  while at <= #blob do values[#values + 1], at = struct.unpack('>I2c0', blob, at) end
  for i = 1, #values, 2000 do
    redis.call('HSET', key, unpack(values, i, math.min(i + 1999, #values)))
  end
end
"""

# KEYS: owner, rows. ARGV: token, sequence, next, rows.
SAVE = f"""{FENCE}{_NEXT_IN_LINE}{_PUT}
put(KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'sequence', sequence, 'next', ARGV[3])
return 'saved'
"""

# KEYS: owner, journal. ARGV: token, sequence, name of this journal.
BEGIN = f"""{FENCE}{_NEXT_IN_LINE}
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 'staging', ARGV[3])
return 'begun'
"""

# KEYS: owner, journal. ARGV: token, name of this journal, rows. The name keeps out a slice of an earlier attempt that
# was long on its way.
STAGE = f"""{FENCE}
if redis.call('HGET', KEYS[1], 'staging') ~= ARGV[2] then return 'refused' end
redis.call('RPUSH', KEYS[2], ARGV[3])
return 'staged'
"""

# KEYS: owner, journal. ARGV: token, sequence, name of this journal, next, slices.
COMMIT = f"""{FENCE}{_NEXT_IN_LINE}
if redis.call('HGET', KEYS[1], 'staging') ~= ARGV[3] then return 'refused' end
if redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[5]) then return 'refused' end
redis.call('HSET', KEYS[1], 'sequence', sequence, 'next', ARGV[4], 'pending', ARGV[5])
redis.call('HDEL', KEYS[1], 'staging')
return 'saved'
"""

# KEYS: owner, journal, rows. ARGV: token. Answers how many slices of a committed journal are left.
APPLY = f"""{FENCE}{_PUT}
if not held[3] then return 0 end
local slice = redis.call('LINDEX', KEYS[2], 0)
if slice then
  put(KEYS[3], slice)
  redis.call('LPOP', KEYS[2])
end
local left = redis.call('LLEN', KEYS[2])
if left == 0 then redis.call('HDEL', KEYS[1], 'pending') end
return left
"""

# A server that lost its last second may be one or more saves behind the owner's memory: then rows must neither be moved
# nor read here. One save ahead is possible, when its answer was lost or is on its way.
_IN_STEP = """
if held[3] then return 'pending' end
local ahead = stored - tonumber(ARGV[2])
if ahead ~= 0 and ahead ~= 1 then return 'refused' end
"""

# KEYS: owner, rows, dormant, marks. ARGV: token, sequence, cards with packed rows, marks.
ARCHIVE = f"""{FENCE}{_IN_STEP}{_PUT}
put(KEYS[3], ARGV[3])
redis.call('APPEND', KEYS[4], ARGV[4])
local cards, at, _ = {{}}, 1
while at <= #ARGV[3] do
  cards[#cards + 1], _, at = struct.unpack('>I2c0I2c0', ARGV[3], at)
end
redis.call('HDEL', KEYS[2], unpack(cards))
return 'archived'
"""

# KEYS: owner, rows, dormant. ARGV: token, sequence, cards. A row is among the others when moving it was lost.
WAKE = f"""{FENCE}{_IN_STEP}
local cards = {{unpack(ARGV, 3)}}
return {{redis.call('HMGET', KEYS[2], unpack(cards)), redis.call('HMGET', KEYS[3], unpack(cards))}}
"""

CLAIM_LAYOUT = """
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
"""
