-- Early release: what is known of the segments of an upload that leave the temp volume while it runs.
--   :writing  zset `number|token` -> until ms: requests that write a segment whose room was taken
--   :giving   zset number -> until ms: segments whose room is being given back; nothing is written there before that moment,
--             or before the member is removed. One process at a time does it, for REPEAT_MS. `*`: every segment
--   :released set of numbers: stored segments whose bytes have left, or are about to leave, the temp volume
--   :expected hash number -> crc32c: released segments that the store has lost, so that their client sends them again
--             A record without `bytes_released` has neither, and one without `tail_bytes` has no tail
--   :append   hash: `number`, `size_bytes`, `crc32c` and `held` of the tail; `appender`, the request that asked to append last;
--             `holder`, the one that appends; `run` and `waits` as append_begin.lua returns them
local function part_key(id, part) return upload_key(id) .. ':' .. part end

-- The tail: the part of a segment that has arrived (core.tail), or nil. `held`: its bytes in hexadecimal, where they are not on the
-- temp volume.
local function tail_of(id)
  local number, size, crc32c, held = unpack(redis.call('HMGET', part_key(id, 'append'), 'number', 'size_bytes', 'crc32c', 'held'))
  if not number then return nil end
  return {number = tonumber(number), size_bytes = tonumber(size), crc32c = crc32c, held = held or nil}
end

local function drop_tail(id)
  redis.call('HDEL', part_key(id, 'append'), 'number', 'size_bytes', 'crc32c', 'held')
  unset(id, 'tail_bytes')
end

local function keep_tail(id, tail)
  drop_tail(id)
  redis.call('HSET', part_key(id, 'append'), 'number', int(tail.number), 'size_bytes', int(tail.size_bytes), 'crc32c', tail.crc32c)
  if tail.held then redis.call('HSET', part_key(id, 'append'), 'held', tail.held) end
  put(id, 'tail_bytes', int(tail.size_bytes))
end

local GIVING_MS = 30000
-- A release that its process did not complete is repeated after this time.
local REPEAT_MS = 5000
-- A whole upload that is `ready` by then needs no early release.
local LINGER_MS = 1000

local function segment_size(id, number)
  local plan, total = fields(id, 'segment_bytes', 'size_bytes')
  return math.min(tonumber(plan), tonumber(total) - (tonumber(number) - 1) * tonumber(plan))
end

local function count_segments(id, name, number, sign)
  bump(id, 'bytes_' .. name, int(sign * segment_size(id, number)))
  if name ~= 'released' then bump(id, 'segments_' .. name, sign) end
end

local function is_windowed(id) return field(id, 'window_bytes') and true or false end

local function releasing_key(id) return P .. 'volume:' .. field(id, 'volume') .. ':releasing' end

-- Have the admission worker look at what an upload may release, in `after_ms` at the latest.
local function release_later(id, after_ms) redis.call('ZADD', releasing_key(id), 'LT', int(now() + after_ms), id) end

-- {number = true} of the segments that requests are writing now, or of which a part has arrived and is kept.
local function writers_of(id)
  local numbers = {}
  local tail = tail_of(id)
  if tail and not tail.held then numbers[int(tail.number)] = true end
  local found = redis.call('ZRANGE', part_key(id, 'writing'), 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if tonumber(found[i + 1]) > now() then numbers[string.match(found[i], '^%d+')] = true end
  end
  return numbers
end

-- A segment has arrived with this claim, if any. Other requests that write it have a moment to notice: they delay its release,
-- and a gateway that has died never notices.
local function end_claims(id, number, claim)
  local found = redis.call('ZRANGE', part_key(id, 'writing'), 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if found[i] == claim then
      redis.call('ZREM', part_key(id, 'writing'), claim)
    elseif string.match(found[i], '^%d+') == number and tonumber(found[i + 1]) > now() + REPEAT_MS then
      redis.call('ZADD', part_key(id, 'writing'), int(now() + REPEAT_MS), found[i])
    end
  end
end

-- Which stored segments may leave the temp volume: 'all', those that are not in :reads ('unread'), or 'none'.
local function releasable(id)
  if transport_of(id).in_store then return 'none' end
  if reader_done(id) then return (is_windowed(id) or is_done(id, 'assemble')) and 'all' or 'none' end
  if not is_windowed(id) then return 'none' end
  for stage, spec in pairs(transport_of(id).stages) do
    if spec.reads and stage_state(id, stage) == 'idle'
        and field(id, stage_field(stage, 'waits_for')) == 'sealed' then
      return 'all'
    end
  end
  return 'unread'
end

local function is_releasable(id, which, number)
  return which == 'all' or which == 'unread' and redis.call('SISMEMBER', reads_key(id), number) == 0
end

-- The caller of this script gives back the room of a segment. If it has not confirmed that after REPEAT_MS, another one may.
local function begin_giving(id, number) redis.call('ZADD', part_key(id, 'giving'), int(now() + GIVING_MS), number) end

-- The admission worker is to give back the room of a segment: nobody does so now.
local function await_giving(id, number)
  redis.call('ZADD', part_key(id, 'giving'), int(now() + GIVING_MS - REPEAT_MS), number)
end

-- From when on another process may give back the room of a segment.
local function free_to_give(until_ms) return until_ms - GIVING_MS + REPEAT_MS end

local function mark_released(id, number)
  if redis.call('SADD', part_key(id, 'released'), number) == 1 then count_segments(id, 'released', number, 1) end
  await_giving(id, number)
end

-- The reader of a window does not hold those of these segments that have arrived.
local function release_read(id, numbers)
  for _, number in ipairs(numbers) do
    if redis.call('HEXISTS', part_key(id, 'received'), number) == 1 and redis.call('SREM', reads_key(id), number) == 1 then
      release_later(id, 0)
    end
  end
end

-- A stage has finished or waits: have the segments released that it no longer needs.
local function release_due(id)
  local status = field(id, 'status')
  if status and not ENDED[status] and releasable(id) == 'all' then
    release_later(id, is_windowed(id) and 0 or LINGER_MS)
  end
end

-- The store no longer has a segment that it had acknowledged. It waits for transfer again or, if its bytes were released, for
-- its client, who must send the same bytes. `code`: how that was found out. Returns whether it is missing.
local function lose_stored(id, number, code)
  if redis.call('HDEL', part_key(id, 'stored'), number) == 0 then return false end
  count_segments(id, 'stored', number, -1)
  if redis.call('SREM', part_key(id, 'released'), number) == 0 then
    redis.call('ZADD', part_key(id, 'pending'), number, number)
    return false
  end
  count_segments(id, 'released', number, -1)
  redis.call('HSET', part_key(id, 'expected'), number, redis.call('HGET', part_key(id, 'received'), number))
  redis.call('HDEL', part_key(id, 'received'), number)
  count_segments(id, 'received', number, -1)
  emit(id, 'segment', number, 'lost', code)
  return true
end
