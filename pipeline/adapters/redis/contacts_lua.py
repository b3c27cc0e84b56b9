"""The Lua steps of the contact store. KEYS[1] is the prefix of every key.

Keys below the prefix: ``positions`` (partition → log:source), ``conversation:<id>`` (version, value, customer, card),
``open`` (card → its open conversation), ``alert:<card>:<id>`` (taken in), ``due`` (schedule), ``outbox`` and
``outbox-due``, ``sequence:<card>``, ``customers``, ``holders`` (card → customer), ``cards-of`` (customer → cards),
``notes-of`` (customer → keys of notes), ``note:<key>``, ``dossier:<id>`` (entries, compressed, in their order).
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

LOOK = f"""{_NOTES}
local p = KEYS[1]
local answer = {{}}
for i, asked in ipairs(cmsgpack.unpack(ARGV[1])) do
  local card, customer, alert = asked[1], asked[2], asked[3]
  local contact = redis.call('HGET', p .. 'open', card)
  local kept = {{false, false}}
  if contact then kept = redis.call('HMGET', p .. 'conversation:' .. contact, 'version', 'value') end
  if not kept[1] then contact = false end
  if customer == '' then customer = redis.call('HGET', p .. 'holders', card) end
  local record = customer and redis.call('HGET', p .. 'customers', customer)
  local known = redis.call('EXISTS', p .. 'alert:' .. card .. ':' .. alert)
  answer[i] = {{contact or '', kept[1] or '', kept[2] or '', known, customer or '', record or '',
    notes(p, customer, card)}}
end
return answer
"""

# A number never goes back, not even after the store was lost: it is at least the time in milliseconds.
COMMIT = """
local p, a = KEYS[1], cmsgpack.unpack(ARGV[1])
local now, lease, keep, entry = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 4
if a.move then
  local stored = redis.call('HGET', p .. 'positions', a.move[1]) or ''
  if stored == a.move[3] then return {'already'} end
  if stored ~= a.move[2] then return {'moved'} end
end
for _, c in ipairs(a.changes) do
  local version = tonumber(redis.call('HGET', p .. 'conversation:' .. c.id, 'version') or '0')
  if version ~= c.version then return {'changed'} end
  local open = redis.call('HGET', p .. 'open', c.card)
  if open and redis.call('EXISTS', p .. 'conversation:' .. open) == 0 then redis.call('HDEL', p .. 'open', c.card)
  elseif open and version == 0 and c.open then return {'changed'} end
  for _, alert in ipairs(c.alerts) do
    if redis.call('EXISTS', p .. 'alert:' .. c.card .. ':' .. alert) == 1 then return {'changed'} end
  end
end
for _, n in ipairs(a.notes) do
  if (redis.call('GET', p .. 'note:' .. n[1]) or '') ~= n[2] then return {'changed'} end
end
for _, n in ipairs(a.notes) do
  if n[3] == '' then redis.call('DEL', p .. 'note:' .. n[1])
  elseif n[4] == 0 then redis.call('SET', p .. 'note:' .. n[1], n[3])
  else redis.call('SET', p .. 'note:' .. n[1], n[3], 'PX', string.format('%.0f', n[4])) end
end
if a.move then redis.call('HSET', p .. 'positions', a.move[1], a.move[3]) end
local answer = {'stored'}
for _, c in ipairs(a.changes) do
  local key = p .. 'conversation:' .. c.id
  redis.call('HSET', key, 'version', c.version + 1, 'value', c.value, 'customer', c.customer, 'card', c.card)
  if c.due then redis.call('ZADD', p .. 'due', string.format('%.0f', c.due), c.id)
  else redis.call('ZREM', p .. 'due', c.id) end
  local open = redis.call('HGET', p .. 'open', c.card)
  if c.open then
    if not open then redis.call('HSET', p .. 'open', c.card, c.id) end
    redis.call('PERSIST', key)
  else
    if open == c.id then redis.call('HDEL', p .. 'open', c.card) end
    redis.call('PEXPIRE', key, keep)
  end
  for _, alert in ipairs(c.alerts) do
    redis.call('SET', p .. 'alert:' .. c.card .. ':' .. alert, c.id, 'PX', keep)
  end
  for _ = 1, c.dossier do
    entry = entry + 1
    redis.call('RPUSH', p .. 'dossier:' .. c.id, ARGV[entry])
  end
  if c.dossier > 0 then redis.call('PEXPIRE', p .. 'dossier:' .. c.id, string.format('%.0f', c.dossier_ms)) end
  for _, e in ipairs(c.outbox) do
    local value = e[4]
    if e[5] then
      local key = p .. 'sequence:' .. e[3]
      local number = string.format('%.0f', math.max(tonumber(redis.call('GET', key) or '0') + 1, now))
      redis.call('SET', key, number, 'PX', keep)
      answer[#answer + 1] = number
      value = value .. number .. e[5]
    end
    redis.call('HSET', p .. 'outbox', e[1], cmsgpack.pack({e[2], e[3], value}))
    redis.call('ZADD', p .. 'outbox-due', string.format('%.0f', now + lease), e[1])
  end
end
return answer
"""

_READ = f"""{_NOTES}
local function read(p, contact)
  local found = redis.call('HMGET', p .. 'conversation:' .. contact, 'version', 'value', 'customer', 'card')
  if not found[1] then return false end
  local record = found[3] ~= '' and redis.call('HGET', p .. 'customers', found[3]) or ''
  return {{contact, found[1], found[2], record or '', notes(p, found[3], found[4])}}
end
"""

CONVERSATION = f"""{_READ}
return read(KEYS[1], ARGV[1])
"""

CUSTOMER = f"""{_NOTES}
return {{redis.call('HGET', KEYS[1] .. 'customers', ARGV[1]) or '', notes(KEYS[1], ARGV[1])}}
"""

CLAIM = f"""{_READ}
local p, answer = KEYS[1], {{}}
for _, contact in ipairs(redis.call('ZRANGEBYSCORE', p .. 'due', '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local kept = read(p, contact)
  if kept then
    redis.call('ZADD', p .. 'due', ARGV[2], contact)
    answer[#answer + 1] = kept
  else
    redis.call('ZREM', p .. 'due', contact)
  end
end
return answer
"""

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
    redis.call('DEL', p .. 'note:c:' .. customer, p .. 'note:w:' .. customer)
  else
    redis.call('HSET', p .. 'customers', customer, record)
    redis.call('HSET', p .. 'cards-of', customer, cmsgpack.pack(cards))
    redis.call('HSET', p .. 'notes-of', customer, cmsgpack.pack(notes))
    for _, card in ipairs(cards) do redis.call('HSET', p .. 'holders', card, customer) end
  end
end
return 0
"""
