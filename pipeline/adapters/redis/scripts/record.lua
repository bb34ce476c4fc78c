-- The hash of an upload, as a script reads and changes it. Reading a field at a time, or writing each change at once, takes longer
-- than the rest of a script. So the fields that most scripts need are read together, no field is read twice, and changes are
-- written, and signalled, once: by `flush`, at the end of the script (composed.py adds the call). A script that ends with an error
-- has changed no record. Everything that reads or writes a field uses these functions, unless the script changes no record.
local FIELDS = {'status', 'transport', 'volume', 'owner', 'digest', 'deferred', 'window_bytes', 'size_bytes', 'segment_bytes',
  'segment_count', 'segments_received', 'segments_stored', 'bytes_received', 'bytes_stored', 'created_at_ms', 'granted_at_ms',
  'bytes_released', 'tail_bytes'}

local function upload_key(id) return P .. 'upload:' .. id end

local records = {} -- id -> {field = value, or false: it has none}
local whole = {} -- id -> true: every field has been read
local changes = {} -- id -> {field = value, or false: to be deleted}
local signals = {} -- channel -> {message = true}

-- Read these fields together, unless they are known.
local function fetch(id, names)
  local known, missing = records[id], {}
  if not known then
    known = {}
    records[id] = known
    for index, name in ipairs(FIELDS) do missing[index] = name end
  end
  if whole[id] then return known end
  for _, name in ipairs(names) do
    if known[name] == nil then missing[#missing + 1] = name end
  end
  if #missing > 0 then
    local values = redis.call('HMGET', upload_key(id), unpack(missing))
    for index, name in ipairs(missing) do known[name] = values[index] end
  end
  return known
end

-- Read every field; returns them by name.
local function fetch_all(id)
  local known = records[id] or {}
  records[id] = known
  if not whole[id] then
    local changed_here = changes[id] or {}
    local flat = redis.call('HGETALL', upload_key(id))
    for index = 1, #flat, 2 do
      if changed_here[flat[index]] == nil then known[flat[index]] = flat[index + 1] end
    end
    whole[id] = true
  end
  return known
end

-- The hash as a list, with what the script has changed: field, value, field, value, ...
local function flat_record(id)
  local flat = {}
  for name, value in pairs(fetch_all(id)) do
    if value then
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  return flat
end

-- The value of a field; false: the record has none, or there is no record.
local function field(id, name)
  local known = records[id] or fetch(id, {name})
  if known[name] == nil then fetch(id, {name}) end
  return known[name] or false
end

local function fields(id, ...)
  local known, values = fetch(id, {...}), {}
  for index, name in ipairs({...}) do values[index] = known[name] or false end
  return unpack(values)
end

local function change(id, name, value)
  local known, changed_here = records[id] or fetch(id, {}), changes[id]
  if not changed_here then
    changed_here = {}
    changes[id] = changed_here
  end
  known[name] = value
  changed_here[name] = value
end

-- Change fields: put(id, name, value, ...). Values are strings.
local function put(id, ...)
  local given = {...}
  for index = 1, #given, 2 do change(id, given[index], given[index + 1]) end
end

-- Delete fields, unless it is known that there are none.
local function unset(id, ...)
  local known = records[id] or {}
  for _, name in ipairs({...}) do
    if known[name] or known[name] == nil and not whole[id] then change(id, name, false) end
  end
end

-- Add to a number; returns the sum.
local function bump(id, name, delta)
  local sum = tonumber(field(id, name) or '0') + delta
  change(id, name, int(sum))
  return sum
end

-- There is no record, or no longer.
local function begin_record(id) records[id], whole[id], changes[id] = {}, true, nil end

-- Signal a change to those who watch the upload. `kind` is that of an event of the stream.
local function changed(id, kind)
  local channel = P .. 'changed:' .. id
  signals[channel] = signals[channel] or {}
  signals[channel][kind] = true
end

-- The kinds that some watchers wait for alone. All others wait for every kind, so one message wakes them.
local AWAITED = {'status', 'wanted', 'append'}

local function flush()
  for id, changed_here in pairs(changes) do
    local set, deleted = {}, {}
    for name, value in pairs(changed_here) do
      if value then
        set[#set + 1] = name
        set[#set + 1] = value
      else
        deleted[#deleted + 1] = name
      end
    end
    if #set > 0 then redis.call('HSET', upload_key(id), unpack(set)) end
    if #deleted > 0 then redis.call('HDEL', upload_key(id), unpack(deleted)) end
  end
  changes = {}
  for channel, kinds in pairs(signals) do
    local is_published = false
    for _, kind in ipairs(AWAITED) do
      if kinds[kind] then
        redis.call('PUBLISH', channel, kind)
        is_published = true
      end
    end
    if not is_published then redis.call('PUBLISH', channel, (next(kinds))) end
  end
  signals = {}
end
