-- The store no longer knows the session: what was stored under it waits for transfer again, and the next run opens another.
-- A: upload_id, stage, generation, session. Returns {numbers} or {lost}. Nothing is done where another session counts already.
local id = A.upload_id
if fenced(id, A.stage, A.generation) then return LOST end
local key = upload_key(id)
local numbers = {}
if redis.call('HGET', key, 'target_session') == A.session then
  for _, number in ipairs(redis.call('HKEYS', key .. ':stored')) do
    redis.call('ZADD', key .. ':pending', number, number)
    numbers[#numbers + 1] = tonumber(number)
  end
  redis.call('DEL', key .. ':stored')
  redis.call('HDEL', key, 'target_session')
  redis.call('HSET', key, 'bytes_stored', 0, 'segments_stored', 0)
end
return cjson.encode({numbers = numbers})
