-- Choose the segments of an upload whose bytes are to leave the temp volume: stored ones that nothing reads any more, and those
-- that a request began and did not finish. What an earlier call chose is returned again until segment_given confirms it.
-- A: upload_id, volume, limit. Returns {windowed, released ({number: etag}), unfinished (numbers)}. Removes the upload from the
-- list of its volume when there is nothing left to do.
local id = A.upload_id
local key = upload_key(id)
local list = P .. 'volume:' .. A.volume .. ':releasing'
local status = redis.call('HGET', key, 'status')
if not status or ENDED[status] then
  redis.call('ZREM', list, id)
  return cjson.encode({windowed = false, released = {}, unfinished = {}})
end
local windowed = is_windowed(id)
local writers = writers_of(id)
local which = releasable(id)
local chosen, kept = 0, false
if which ~= 'none' then
  for _, number in ipairs(redis.call('HKEYS', key .. ':stored')) do
    if redis.call('SISMEMBER', key .. ':released', number) == 0 then
      if chosen < A.limit and is_releasable(id, which, number) and not writers[number] then
        mark_released(id, number)
        chosen = chosen + 1
      else
        kept = true
      end
    end
  end
end
local next_ms
local claims = redis.call('ZRANGE', key .. ':writing', 0, -1, 'WITHSCORES')
for i = 1, #claims, 2 do
  local until_ms = tonumber(claims[i + 1])
  if until_ms > NOW then
    next_ms = math.min(next_ms or until_ms, until_ms)
  else
    redis.call('ZREM', key .. ':writing', claims[i])
    local number = string.match(claims[i], '^%d+')
    local needs_room = windowed or redis.call('HEXISTS', key .. ':expected', number) == 1
    if needs_room and not writers[number] and redis.call('HEXISTS', key .. ':received', number) == 0 then
      redis.call('ZADD', key .. ':giving', int(NOW + GIVING_MS), number)
    end
  end
end
local released, unfinished, found = {}, {}, false
for _, number in ipairs(redis.call('ZRANGE', key .. ':giving', 0, -1)) do
  if redis.call('SISMEMBER', key .. ':released', number) == 1 then
    released[number] = redis.call('HGET', key .. ':stored', number)
    found = true
  elseif number == '*' or writers[number] or redis.call('HEXISTS', key .. ':received', number) == 1 then
    redis.call('ZREM', key .. ':giving', number)
  else
    unfinished[#unfinished + 1] = tonumber(number)
    found = true
  end
end
if found then next_ms = math.min(next_ms or NOW + REPEAT_MS, NOW + REPEAT_MS) end
if kept then next_ms = math.min(next_ms or NOW + LINGER_MS, NOW + LINGER_MS) end
if next_ms then redis.call('ZADD', list, int(next_ms), id) else redis.call('ZREM', list, id) end
return cjson.encode({windowed = windowed, released = released, unfinished = unfinished})
