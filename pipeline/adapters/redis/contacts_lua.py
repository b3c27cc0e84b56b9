"""The Lua steps of the contact store. KEYS[1] is the prefix of every key.

Keys below the prefix: ``positions`` (partition → log:source), ``conversation:<id>`` (head and state, and while it is
open its dossier), ``open`` (card → its open conversation), ``alert:<card>:<id>`` (taken in by a conversation that another
alert began; one that began a conversation is remembered with it), ``due`` (schedule; ``due:<class>`` of other classes
than fraud), ``outbox`` and ``outbox-due``,
``sequence:<card>``, ``customers``, ``holders`` (card → customer), ``cards-of`` (customer → cards), ``notes-of``
(customer → keys of notes), ``note:<key>``, ``dossier:<id>`` (of ended conversations; pieces, in their order).

Versions before this one kept a conversation as a hash of four fields, its whole dossier in the list, and every alert
under a key of its own. All of these are still read; the next change of a conversation writes the present form.
"""

# `kept` takes a conversation apart: version, due moment, card (packed), customer, state, dossier. What earlier versions
# wrote is a hash, where GET is an error.
_KEPT = """
local function kept(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then
    local version, due, card, customer, state, at = struct.unpack('>I4dI2c0I2c0I4c0', found)
    return {version, due, card, customer, state, string.sub(found, at)}
  end
  if not found then return nil end
  local old = redis.call('HMGET', key, 'version', 'value', 'customer', 'card')
  return {tonumber(old[1]), tonumber(cjson.decode(old[2]).due_ms) or 0, old[4], old[3], old[2], ''}
end
"""

_NOTES = """
local function notes(p, customer, card)
  local keys = customer and customer ~= '' and redis.call('HGET', p .. 'notes-of', customer)
  keys = keys and cmsgpack.unpack(keys) or {}
  if card then keys[#keys + 1] = 'x:' .. card end
  local answer = {}
  for i, key in ipairs(keys) do
    answer[2 * i - 1] = key
    answer[2 * i] = redis.call('GET', p .. 'note:' .. key) or ''
  end
  return answer
end
"""

LOOK = f"""{_KEPT}{_NOTES}
local p = KEYS[1]
local answer = {{}}
for i, asked in ipairs(cmsgpack.unpack(ARGV[1])) do
  local card, customer, alert = asked[1], asked[2], asked[3]
  local contact = redis.call('HGET', p .. 'open', card)
  local found = contact and kept(p .. 'conversation:' .. contact)
  local open = found and {{contact, found[1], found[3], found[4], found[5]}} or {{}}
  if customer == '' then customer = redis.call('HGET', p .. 'holders', card) end
  local record = customer and redis.call('HGET', p .. 'customers', customer)
  local known = redis.call('EXISTS', p .. 'alert:' .. card .. ':' .. alert, p .. 'conversation:' .. asked[4])
  answer[i] = {{open, known, customer or '', record or '', notes(p, customer, card)}}
end
return answer
"""

# A number never goes back, not even after the store was lost: it is at least the time in milliseconds. So the last one
# matters only while somebody's clock may be behind it.
COMMIT = f"""{_KEPT}
local p, a, was = KEYS[1], cmsgpack.unpack(ARGV[1]), {{}}
local now, lease, keep = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if a.move then
  local stored = redis.call('HGET', p .. 'positions', a.move[1]) or ''
  if stored == a.move[3] then return {{'already'}} end
  if stored ~= a.move[2] then return {{'moved'}} end
end
for i, c in ipairs(a.changes) do
  was[i] = kept(p .. 'conversation:' .. c.id) or {{0, 0, '', '', '', ''}}
  if was[i][1] ~= c.version then return {{'changed'}} end
  local open = redis.call('HGET', p .. 'open', c.card)
  if open and redis.call('EXISTS', p .. 'conversation:' .. open) == 0 then redis.call('HDEL', p .. 'open', c.card)
  elseif open and c.version == 0 and c.open and not c.apart then return {{'changed'}} end
  for _, alert in ipairs(c.alerts) do
    local key = p .. 'alert:' .. c.card .. ':' .. alert[1]
    if redis.call('EXISTS', key, p .. 'conversation:' .. alert[2]) > 0 then return {{'changed'}} end
  end
end
for _, n in ipairs(a.notes) do
  if (redis.call('GET', p .. 'note:' .. n[1]) or '') ~= n[2] then return {{'changed'}} end
end
for _, n in ipairs(a.notes) do
  if n[3] == n[2] then -- only compared: neither its value nor its time to live changes
  elseif n[3] == '' then redis.call('DEL', p .. 'note:' .. n[1])
  elseif n[4] == 0 then redis.call('SET', p .. 'note:' .. n[1], n[3])
  else redis.call('SET', p .. 'note:' .. n[1], n[3], 'PX', string.format('%.0f', n[4])) end
end
if a.move then redis.call('HSET', p .. 'positions', a.move[1], a.move[3]) end
local answer = {{'stored'}}
for i, c in ipairs(a.changes) do
  local key, head, dossier = p .. 'conversation:' .. c.id, ARGV[3 + 2 * i], was[i][6] .. ARGV[4 + 2 * i]
  if c.number > 0 then
    local last = math.max(tonumber(redis.call('GET', p .. 'sequence:' .. c.card) or '0'), c.number)
    redis.call('SET', p .. 'sequence:' .. c.card, string.format('%.0f', last), 'PX', keep)
  end
  local open = redis.call('HGET', p .. 'open', c.card)
  if c.open then
    redis.call('SET', key, head .. dossier)
    if not open and not c.apart then redis.call('HSET', p .. 'open', c.card, c.id) end
  else
    redis.call('SET', key, head, 'PX', keep)
    if open == c.id then redis.call('HDEL', p .. 'open', c.card) end
    local at, piece = 1, nil
    while at <= #dossier do
      piece, at = struct.unpack('>I4c0', dossier, at)
      redis.call('RPUSH', p .. 'dossier:' .. c.id, piece)
    end
    if c.dossier_ms > 0 then redis.call('PEXPIRE', p .. 'dossier:' .. c.id, string.format('%.0f', c.dossier_ms)) end
  end
  if c.due then redis.call('ZADD', p .. c.due_key, string.format('%.0f', c.due), c.id)
  else redis.call('ZREM', p .. c.due_key, c.id) end
  for _, alert in ipairs(c.alerts) do
    if alert[2] ~= c.id then
      redis.call('SET', p .. 'alert:' .. c.card .. ':' .. alert[1], c.id, 'PX', keep)
    end
  end
  for _, e in ipairs(c.outbox) do
    local value = e[4]
    if e[5] then
      local key = p .. 'sequence:' .. e[3]
      local number = string.format('%.0f', math.max(tonumber(redis.call('GET', key) or '0') + 1, now))
      redis.call('SET', key, number, 'PX', a.sequence_ms)
      answer[#answer + 1] = number
      value = value .. number .. e[5]
    end
    redis.call('HSET', p .. 'outbox', e[1], cmsgpack.pack({{e[2], e[3], value}}))
    redis.call('ZADD', p .. 'outbox-due', string.format('%.0f', now + lease), e[1])
  end
end
return answer
"""

_READ = f"""{_KEPT}{_NOTES}
local function clear(card)
  local at = string.find(card, '\\255', 1, true)
  if not at then return card end
  local digits = string.gsub(string.sub(card, at + 1), '.', function(c) return string.format('%02x', string.byte(c)) end)
  return string.sub(card, 1, at - 1) .. digits
end
local function read(p, contact)
  local found = kept(p .. 'conversation:' .. contact)
  if not found then return false end
  local record = found[4] ~= '' and redis.call('HGET', p .. 'customers', found[4]) or ''
  return {{{{contact, found[1], found[3], found[4], found[5]}}, record or '', notes(p, found[4], clear(found[3]))}}
end
"""

CONVERSATION = f"""{_READ}
return read(KEYS[1], ARGV[1])
"""

CUSTOMER = f"""{_NOTES}
return {{redis.call('HGET', KEYS[1] .. 'customers', ARGV[1]) or '', notes(KEYS[1], ARGV[1])}}
"""

DOSSIER = f"""{_KEPT}
local answer = redis.call('LRANGE', KEYS[1] .. 'dossier:' .. ARGV[1], 0, -1)
local found = kept(KEYS[1] .. 'conversation:' .. ARGV[1])
local dossier, at = found and found[6] or '', 1
while at <= #dossier do answer[#answer + 1], at = struct.unpack('>I4c0', dossier, at) end
return answer
"""

# ARGV: now, the leases' end, how many, how many of them from the schedules after the first, the schedules in their order.
CLAIM = f"""{_READ}
local p, answer = KEYS[1], {{}}
local left, others = tonumber(ARGV[3]), tonumber(ARGV[4])
for n = 5, #ARGV do
  local key, most = p .. ARGV[n], n == 5 and left or math.min(left, others)
  local ripe = most > 0 and redis.call('ZRANGEBYSCORE', key, '-inf', ARGV[1], 'LIMIT', 0, most) or {{}}
  for _, contact in ipairs(ripe) do
    local found = read(p, contact)
    if found then
      redis.call('ZADD', key, ARGV[2], contact)
      answer[#answer + 1] = found
      left = left - 1
      if n > 5 then others = others - 1 end
    else
      redis.call('ZREM', key, contact)
    end
  end
end
return answer
"""

# A due moment below zero: it has ended.
SWEEP = f"""{_KEPT}
local p, scheduled, dropped = KEYS[1], 0, 0
local found = redis.call('HSCAN', p .. 'open', ARGV[1], 'COUNT', ARGV[2])
for i = 1, #found[2], 2 do
  local card, contact = found[2][i], found[2][i + 1]
  local due = redis.call('ZSCORE', p .. 'due', contact)
  local conversation = not due and kept(p .. 'conversation:' .. contact)
  if conversation and conversation[2] >= 0 then
    redis.call('ZADD', p .. 'due', string.format('%.0f', conversation[2]), contact)
    scheduled = scheduled + 1
  elseif conversation or redis.call('EXISTS', p .. 'conversation:' .. contact) == 0 then
    redis.call('HDEL', p .. 'open', card)
    dropped = dropped + 1
  end
end
return {{found[1], scheduled, dropped}}
"""

PUT_CUSTOMERS = """
local p = KEYS[1]
for _, entry in ipairs(cmsgpack.unpack(ARGV[1])) do
  local customer, record, cards, notes = entry[1], entry[2], entry[3], entry[4]
  local before = redis.call('HGET', p .. 'cards-of', customer)
  for _, card in ipairs(before and cmsgpack.unpack(before) or {}) do
    if redis.call('HGET', p .. 'holders', card) == customer then redis.call('HDEL', p .. 'holders', card) end
  end
  if record == '' then
    redis.call('HDEL', p .. 'customers', customer)
    redis.call('HDEL', p .. 'cards-of', customer)
    redis.call('HDEL', p .. 'notes-of', customer)
    redis.call('DEL', p .. 'note:c:' .. customer, p .. 'note:w:' .. customer, p .. 'note:o:' .. customer)
  else
    redis.call('HSET', p .. 'customers', customer, record)
    redis.call('HSET', p .. 'cards-of', customer, cmsgpack.pack(cards))
    redis.call('HSET', p .. 'notes-of', customer, cmsgpack.pack(notes))
    for _, card in ipairs(cards) do redis.call('HSET', p .. 'holders', card, customer) end
  end
end
return 0
"""

OPENED = f"""{_KEPT}
local p = KEYS[1]
local cursor = redis.call('HSCAN', p .. 'open', ARGV[1], 'COUNT', 200)
local answer = {{cursor[1]}}
for i = 2, #cursor[2], 2 do
  local contact = cursor[2][i]
  local found = kept(p .. 'conversation:' .. contact)
  if found then
    local conversation = {{contact, found[1], found[3], found[4], found[5]}}
    answer[#answer + 1] = {{conversation, redis.call('ZSCORE', p .. 'due', contact) or ''}}
  end
end
return answer
"""

OVERDUE = """
return redis.call('ZRANGEBYSCORE', KEYS[1] .. 'outbox-due', '-inf', ARGV[1], 'LIMIT', 0, 1000)
"""

# ARGV: the cursor, how many keys to look at, every schedule. What is open stands in one of them.
STRAYS = f"""{_KEPT}
local function is_open(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then return select(2, struct.unpack('>I4d', found)) >= 0 end
  return found and kept(key)[2] >= 0
end
local start = KEYS[1] .. 'conversation:'
local found = redis.call('SCAN', ARGV[1], 'MATCH', start .. '*', 'COUNT', ARGV[2])
local answer = {{found[1]}}
for _, key in ipairs(found[2]) do
  local contact, passed = string.sub(key, #start + 1), not is_open(key)
  for n = 3, #ARGV do passed = passed or redis.call('ZSCORE', KEYS[1] .. ARGV[n], contact) end
  if not passed then answer[#answer + 1] = contact end
end
return answer
"""
