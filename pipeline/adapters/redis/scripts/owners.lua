-- What an owner has: counters that change with the status of its uploads, and the limits that a new upload must keep.
--
--   owner:<name>            hash: waiting (uploads that wait), in_flight (uploads after that, until they end), bytes (of the files
--                           of both). A counter of 0 is absent, and so is a hash without counters
--   owner-day:<day>:<name>  bytes of the files that an owner has created on a day (UTC, days since 1970), less what was not
--                           received of those that ended
--   owner-rate:<name>       when the bucket of creations is full again, in ms
--
-- A record of a release before there were owners names none, and is not counted.
local DAY_MS = 86400000
local COUNTED_AS = {waiting = 'waiting', granted = 'in_flight', admitted = 'in_flight', receiving = 'in_flight', processing = 'in_flight',
  held = 'in_flight'}

local function owner_key(owner) return P .. 'owner:' .. owner end

local OWNER_COUNTERS = {'waiting', 'in_flight', 'bytes'}

local function add_to_owner(owner, counter, delta)
  hash_get_all(owner_key(owner), OWNER_COUNTERS)
  hash_count(owner_key(owner), counter, delta)
end

local function day_key(owner, moment_ms) return P .. 'owner-day:' .. int(math.floor(moment_ms / DAY_MS)) .. ':' .. owner end

-- Count bytes of the day on which an upload was created. The counter of a day expires at the end of the next day.
local function add_to_day(owner, created_ms, bytes)
  local key = day_key(owner, created_ms)
  local until_ms = (math.floor(created_ms / DAY_MS) + 2) * DAY_MS
  if bytes == 0 or until_ms <= now() then return end
  local count = redis.call('INCRBY', key, int(bytes))
  if count <= 0 then
    redis.call('DEL', key)
  elseif count == bytes then -- it is new
    redis.call('PEXPIRE', key, int(until_ms - now()))
  end
end

-- The bytes that an upload in this status counts towards its day: the whole file, or the received bytes if it ended without
-- becoming a content. Bytes that a client sent to the store itself are not known, so the whole file counts there too. Those of a
-- final upload are counted with its partial uploads.
local function share_of_day(id, status)
  if not status then return 0 end
  local size, received, granted, transport = fields(id, 'size_bytes', 'bytes_received', 'granted_at_ms', 'transport')
  if transport == 'final' then return 0 end
  if not ENDED[status] or status == 'ready' or granted then return tonumber(size) end
  return tonumber(received)
end

-- Move the counters of an upload's owner from one status to another; nil: it has no record before, or none after. Only `apply`
-- and the scripts that make a record call it.
local function move_counters(id, from, to)
  local owner, size, created = fields(id, 'owner', 'size_bytes', 'created_at_ms')
  if not owner then return end
  local before, after = COUNTED_AS[from or ''], COUNTED_AS[to or '']
  if before ~= after then
    if before then add_to_owner(owner, before, -1) end
    if after then add_to_owner(owner, after, 1) end
    if not before then add_to_owner(owner, 'bytes', size) end
    if not after then add_to_owner(owner, 'bytes', -size) end
  end
  add_to_day(owner, tonumber(created), share_of_day(id, to) - share_of_day(id, from))
end

-- Take one creation from an owner's bucket, which refills at a constant rate; nil, or the ms until there is one.
local function take_creation(owner, rate)
  local key, each = P .. 'owner-rate:' .. owner, 1000 / rate.per_second
  local full_at = math.max(now(), tonumber(redis.call('GET', key) or '0')) + each
  local wait = full_at - now() - rate.burst * each
  if wait > 0 then return wait end
  redis.call('SET', key, string.format('%.3f', full_at), 'PX', int(math.ceil(full_at - now())))
  return nil
end

-- Why an upload may not be created now: {code, and the facts that its message needs}; nil: it may be. `limits`:
-- core.creation_limits as data.
local function refuse_creation(limits, fields, begins)
  local owner, size, own = fields.owner, tonumber(fields.size_bytes), limits.owner
  if own then
    local wait = take_creation(owner, own.creations)
    if wait then return {code = 'RATE_LIMITED', policy = 'creations', retry_after_seconds = wait / 1000} end
    for name, most in pairs({bytes = own.bytes, bytes_per_day = own.bytes_per_day}) do
      if size > most then return {code = 'FILE_TOO_LARGE_FOR_OWNER', size_bytes = size, limit = name, value = most} end
    end
  end
  -- Imports and direct uploads do not wait, but each takes as much memory of Redis as one that waits.
  if redis.call('ZCARD', P .. 'status:' .. begins) >= limits.queue_uploads then
    return {code = 'QUEUE_FULL', value = limits.queue_uploads}
  end
  if not own then return nil end
  local counted = COUNTED_AS[begins]
  hash_get_all(owner_key(owner), OWNER_COUNTERS)
  local has, has_bytes = hash_get(owner_key(owner), counted), hash_get(owner_key(owner), 'bytes')
  if tonumber(has or '0') >= own[counted] then return {code = 'OWNER_LIMIT', limit = counted, value = own[counted]} end
  if tonumber(has_bytes or '0') + size > own.bytes then return {code = 'OWNER_LIMIT', limit = 'bytes', value = own.bytes} end
  if own.bytes_per_day and tonumber(redis.call('GET', day_key(owner, now())) or '0') + size > own.bytes_per_day then
    return {code = 'DAILY_LIMIT', value = own.bytes_per_day, retry_after_seconds = (DAY_MS - now() % DAY_MS) / 1000}
  end
  return nil
end

-- Why an upload in flight whose size was not known may not have this size, which is larger than what is counted of it; nil: it
-- may. `own`: the owner's part of the limits.
local function refuse_growth(id, own, size)
  local owner, counted = fields(id, 'owner', 'size_bytes')
  if not own or not owner then return nil end
  for name, most in pairs({bytes = own.bytes, bytes_per_day = own.bytes_per_day}) do
    if size > most then return {code = 'FILE_TOO_LARGE_FOR_OWNER', size_bytes = size, limit = name, value = most} end
  end
  local growth = size - tonumber(counted)
  hash_get_all(owner_key(owner), OWNER_COUNTERS)
  if tonumber(hash_get(owner_key(owner), 'bytes') or '0') + growth > own.bytes then
    return {code = 'OWNER_LIMIT', limit = 'bytes', value = own.bytes}
  end
  if own.bytes_per_day and tonumber(redis.call('GET', day_key(owner, now())) or '0') + growth > own.bytes_per_day then
    return {code = 'DAILY_LIMIT', value = own.bytes_per_day, retry_after_seconds = (DAY_MS - now() % DAY_MS) / 1000}
  end
  return nil
end

-- Change the size of an upload in flight, and what is counted of it.
local function set_file_size(id, size)
  local owner, counted, created = fields(id, 'owner', 'size_bytes', 'created_at_ms')
  put(id, 'size_bytes', int(size))
  if not owner then return end
  add_to_owner(owner, 'bytes', size - tonumber(counted))
  add_to_day(owner, tonumber(created), size - tonumber(counted))
end

-- Count that a file whose size is not known has `size` bytes at least, unless that is refused: see refuse_growth.
local function count_growth(id, limits, size)
  if size <= tonumber(field(id, 'size_bytes')) then return nil end
  local refused = limits and refuse_growth(id, limits.owner, size)
  if not refused then set_file_size(id, size) end
  return refused
end

-- Count a use of a permit; false: all its uses are counted already.
local function use_permit(permit)
  local key = P .. 'permit:' .. permit.id
  local used = tonumber(redis.call('GET', key) or '0')
  if used >= permit.count then return false end
  redis.call('SET', key, int(used + 1), 'PX', int(math.max(1, permit.until_ms - now())))
  return true
end
