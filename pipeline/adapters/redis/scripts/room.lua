-- The segments that hold room of a reservation, by the rules of pipeline/core/reservation.py; a test runs that model and the
-- scripts side by side. What volume_take, volume_back and volume_give do. volume.lua lists the keys.

-- The bytes by which a reservation may grow now: by the latest reading of the disk, and without what older uploads wish.
local function room_to_grow()
  local room = math.min(A.budget_bytes, number(volume_field(V, 'usable_bytes'))) - reserved()
  local ticket = number(hash_get(V .. ':tickets', id))
  for _, who in ipairs(redis.call('ZRANGE', V .. ':wishes', 0, -1)) do
    if number(redis.call('ZSCORE', V .. ':wishes', who)) >= ticket then break end
    room = room - needed(who)
  end
  return math.max(0, room)
end

-- Whether a window of `size` bytes, of a file of which `rest` bytes remain, has room for `bytes` of segment A.number.
local function fits(size, rest, bytes)
  if size >= rest then return true end -- it covers what remains, also where an older release has counted bytes instead of blocks
  local used, others = 0, 0
  local entries = redis.call('HGETALL', V .. ':taken:' .. id)
  local read = {}
  for _, segment in ipairs(redis.call('SMEMBERS', reads_key(id))) do read[tostring(segment)] = true end
  for index = 1, #entries, 2 do
    local held = tonumber(string.match(entries[index + 1], '^(%d+)'))
    used = used + held
    if not read[entries[index]] then others = others + held end
  end
  if used + bytes > size then return false end
  if read[int(A.number)] or not reader_active(id) then return true end
  local readers = math.max(0, math.min(A.reader_segments, math.floor(size / A.segment_bytes) - 1))
  return others + bytes <= size - readers * A.segment_bytes
end

-- Take room in a window. `given`: bytes of a segment that had left the disk and is sent again, or nil.
local function take_in_window(w, bytes, given)
  local size = size_of(id)
  local rest = w.rest + (given or 0)
  if given then
    size = size + math.min(room_to_grow(), math.max(0, math.min(w.window, rest) - size))
    if bytes > size then
      keep_wish(id, math.max(bytes, wish_of(id)), 0)
      return false
    end
  end
  if not fits(size, rest, bytes) then return false end
  if given then
    redis.call('HDEL', V .. ':given:' .. id, int(A.number))
    drop_wish(id)
    keep_window(id, {window = w.window, file = w.file, rest = rest})
    set_size(id, size)
  end
  keep_taken(id, int(A.number), bytes, false)
  return true
end

-- Take room for a segment of a whole file that had left the disk and is sent again.
local function take_again(bytes)
  local wished, granted = wish_of(id)
  local growth = bytes - granted
  if growth > room_to_grow() then
    keep_wish(id, math.max(bytes, wished), granted)
    return false
  end
  redis.call('HDEL', V .. ':given:' .. id, int(A.number))
  drop_wish(id)
  set_size(id, size_of(id) + growth)
  keep_taken(id, int(A.number), bytes, false)
  return true
end

local function take()
  if not is_reserved(id) then return false end
  local held = taken_of(id, int(A.number))
  if held then
    keep_taken(id, int(A.number), held.bytes, held.backed)
    return true
  end
  local given = redis.call('HGET', V .. ':given:' .. id, int(A.number))
  local w = window_of(id)
  if w then return take_in_window(w, tonumber(given or A.size_bytes), tonumber(given)) end
  return not given or take_again(tonumber(given))
end

local function back()
  local held = taken_of(id, int(A.number))
  if not held or held.backed then return end
  redis.call('HSET', V .. ':taken:' .. id, int(A.number), int(held.bytes) .. ' ' .. int(held.since) .. ' 1')
  set_backed(id, backed_of(id) + held.bytes)
  counter('epoch', 1)
end

-- Give the room of one segment back; returns how many of its bytes were backed, and by how much a whole reservation shrinks.
local function give_one(segment, bytes, w)
  local held = taken_of(id, segment)
  local is_given = redis.call('HEXISTS', V .. ':given:' .. id, segment) == 1
  if held then
    redis.call('HDEL', V .. ':taken:' .. id, segment)
    bytes = held.bytes
  elseif is_given or not A.stored then
    return 0, 0
  end
  if A.stored or not w then redis.call('HSET', V .. ':given:' .. id, segment, int(bytes)) end
  if w and A.stored then w.rest = math.max(0, w.rest - bytes) end
  if held then return held.backed and bytes or 0, bytes end
  return w and 0 or bytes, bytes
end

local function give()
  if not is_reserved(id) then return end
  local w = window_of(id)
  local before, unbacked, freed = size_of(id), 0, 0
  for segment, bytes in pairs(A.segments) do
    local from_disk, from_size = give_one(segment, bytes, w)
    unbacked = unbacked + from_disk
    freed = freed + from_size
  end
  unbacked = math.min(unbacked, backed_of(id))
  if unbacked > 0 then
    set_backed(id, backed_of(id) - unbacked)
    counter('epoch', 1)
  end
  if w then
    keep_window(id, w)
    shrink_window(id, w)
  else
    set_size(id, math.max(0, before - freed))
  end
  if w then changed(id, 'segment') end -- requests wait for room in this window
  if size_of(id) < before then offer_room() end
end
