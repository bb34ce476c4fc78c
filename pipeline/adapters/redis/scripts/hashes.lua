-- Hashes of a temp volume and of owners, as a script reads and changes them: a field is read once, and what is changed is written
-- once, by `flush_hashes`, at the end of the script (composed.py adds the call). Everything that reads or writes a field of such a hash
-- uses these functions, unless the script changes none.
local VOLUME_FIELDS = {'opened_at_ms', 'epoch', 'tickets', 'reserved_bytes', 'backed_bytes', 'usable_bytes', 'ran_at_ms', 'virtual',
  'queue_end', 'measured_at_ms', 'owners_as_of', 'draining'}

local cells = {} -- key -> {field = value, or false: it has none}
local dirty = {} -- key -> {field = true}: changed by this script
local sums = {} -- key -> {field = what is to be added to a counter that was not read}

-- A value that has just been read, with what is to be added to it.
local function hash_keep(key, name, value)
  cells[key][name] = value
  local delta = sums[key] and sums[key][name]
  if not delta then return end
  sums[key][name] = nil
  local sum = tonumber(value or '0') + delta
  cells[key][name] = sum ~= 0 and int(sum)
  dirty[key] = dirty[key] or {}
  dirty[key][name] = true
end

local function hash_get(key, name)
  local known = cells[key]
  if not known then
    known = {}
    cells[key] = known
  end
  if known[name] == nil then hash_keep(key, name, redis.call('HGET', key, name)) end
  return known[name]
end

-- The values of several fields, read together unless they are known.
local function hash_get_all(key, names)
  local known, missing, values = cells[key] or {}, {}, {}
  cells[key] = known
  for _, name in ipairs(names) do
    if known[name] == nil then missing[#missing + 1] = name end
  end
  local found = #missing > 0 and redis.call('HMGET', key, unpack(missing))
  for index, name in ipairs(missing) do hash_keep(key, name, found[index]) end
  for index, name in ipairs(names) do values[index] = known[name] end
  return values
end

-- A field that is known to have this value, or none: false.
local function hash_know(key, name, value)
  cells[key] = cells[key] or {}
  cells[key][name] = value
end

-- Values are strings; false deletes the field.
local function hash_put(key, name, value)
  cells[key] = cells[key] or {}
  dirty[key] = dirty[key] or {}
  cells[key][name] = value
  dirty[key][name] = true
end

-- Delete a field, unless it is known that there is none.
local function hash_drop(key, name)
  if not cells[key] or cells[key][name] ~= false then hash_put(key, name, false) end
end

-- Add to a number; returns the sum.
local function hash_add(key, name, delta)
  local sum = tonumber(hash_get(key, name) or '0') + delta
  if delta ~= 0 then hash_put(key, name, int(sum)) end
  return sum
end

-- The same, of a counter that is absent while it is 0; it is not read for that.
local function hash_count(key, name, delta)
  if cells[key] and cells[key][name] ~= nil then
    if delta ~= 0 and hash_add(key, name, delta) == 0 then hash_drop(key, name) end
    return
  end
  sums[key] = sums[key] or {}
  sums[key][name] = (sums[key][name] or 0) + delta
end

-- A field of the hash of volume `v`. Those that most scripts need are read together.
local function volume_field(v, name)
  if not cells[v] then
    local values = redis.call('HMGET', v, unpack(VOLUME_FIELDS))
    cells[v] = {}
    for index, field_name in ipairs(VOLUME_FIELDS) do cells[v][field_name] = values[index] end
  end
  return hash_get(v, name)
end

-- `unpack` takes a few thousand values.
local CHUNK = 2000

local function flush_hashes()
  for key, names in pairs(dirty) do
    local set, deleted = {}, {}
    for name, _ in pairs(names) do
      if cells[key][name] then
        set[#set + 1] = name
        set[#set + 1] = cells[key][name]
      else
        deleted[#deleted + 1] = name
      end
    end
    for from = 1, #set, CHUNK do redis.call('HSET', key, unpack(set, from, math.min(#set, from + CHUNK - 1))) end
    for from = 1, #deleted, CHUNK do redis.call('HDEL', key, unpack(deleted, from, math.min(#deleted, from + CHUNK - 1))) end
  end
  for key, deltas in pairs(sums) do
    for name, delta in pairs(deltas) do
      if delta ~= 0 and redis.call('HINCRBY', key, name, int(delta)) == 0 then redis.call('HDEL', key, name) end
    end
  end
end
