-- Choose the segments of an upload whose bytes are to leave the temp volume: stored ones that nothing reads any more, and those
-- that a request began and did not finish. What another process was to do, and has not confirmed by segment_given for REPEAT_MS,
-- is returned again: until then two processes would do it, and the later one would remove what a client has sent meanwhile.
-- A: upload_id, volume, limit. Returns {windowed, released ({number: etag}), unfinished (numbers)}. Removes the upload from the
-- list of its volume when there is nothing left to do.
local id = A.upload_id
local key = upload_key(id)
local list = P .. 'volume:' .. A.volume .. ':releasing'
local status = field(id, 'status')
if not status or ENDED[status] then
  redis.call('ZREM', list, id)
  return cjson.encode({windowed = false, released = {}, unfinished = {}})
end
local windowed = is_windowed(id)
local writers = writers_of(id)
local which = releasable(id)
-- More than `limit` may go now; others are kept until the reader is done with them. The end of a reader lists the upload at once.
local chosen, more, kept = 0, false, false
if which ~= 'none' then
  for _, number in ipairs(redis.call('HKEYS', key .. ':stored')) do
    if redis.call('SISMEMBER', key .. ':released', number) == 0 then
      if not is_releasable(id, which, number) or writers[number] then
        kept = true
      elseif chosen < A.limit then
        mark_released(id, number)
        chosen = chosen + 1
      else
        more = true
      end
    end
  end
end
local next_ms
local function look_again(at_ms) next_ms = math.min(next_ms or at_ms, at_ms) end
local claims = redis.call('ZRANGE', key .. ':writing', 0, -1, 'WITHSCORES')
for i = 1, #claims, 2 do
  local until_ms = tonumber(claims[i + 1])
  if until_ms > now() then
    look_again(until_ms)
  else
    redis.call('ZREM', key .. ':writing', claims[i])
    local number = string.match(claims[i], '^%d+')
    local needs_room = windowed or redis.call('HEXISTS', key .. ':expected', number) == 1
    if needs_room and not writers[number] and redis.call('HEXISTS', key .. ':received', number) == 0
        and not redis.call('ZSCORE', key .. ':giving', number) then
      await_giving(id, number)
    end
  end
end
local released, unfinished = {}, {}
local given = redis.call('ZRANGE', key .. ':giving', 0, -1, 'WITHSCORES')
for i = 1, #given, 2 do
  local number, until_ms = given[i], tonumber(given[i + 1])
  local is_released = redis.call('SISMEMBER', key .. ':released', number) == 1
  if number == '*' then
    if until_ms <= now() then redis.call('ZREM', key .. ':giving', number) end
  elseif not is_released and (writers[number] or redis.call('HEXISTS', key .. ':received', number) == 1) then
    redis.call('ZREM', key .. ':giving', number)
  elseif free_to_give(until_ms) > now() then
    look_again(free_to_give(until_ms))
  else
    begin_giving(id, number)
    look_again(now() + REPEAT_MS)
    if is_released then
      released[number] = redis.call('HGET', key .. ':stored', number)
    else
      unfinished[#unfinished + 1] = tonumber(number)
    end
  end
end
if more then look_again(now() + LINGER_MS) end
if kept then look_again(now() + REPEAT_MS) end
if next_ms then redis.call('ZADD', list, int(next_ms), id) else redis.call('ZREM', list, id) end
return cjson.encode({windowed = windowed, released = released, unfinished = unfinished})
