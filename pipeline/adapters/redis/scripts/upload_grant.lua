-- Note that the client of a direct upload receives grants that are valid for `valid_ms` from now; its time to expire starts
-- again, and its deadline is set by the first grants. A: upload_id, valid_ms, deadline_ms. Returns {status} or {missing}; unless the status is `granted`, nothing has changed.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
if not status then return cjson.encode({missing = true}) end
if status == 'granted' then
  local until_ms = math.max(NOW + A.valid_ms, tonumber(redis.call('HGET', key, 'grants_until_ms') or '0'))
  redis.call('HSET', key, 'granted_at_ms', int(NOW), 'grants_until_ms', int(until_ms), 'updated_at_ms', int(NOW))
  redis.call('ZADD', P .. 'status:granted', int(NOW), id)
  local volume = redis.call('HGET', key, 'volume')
  redis.call('ZADD', P .. 'volume:' .. volume .. ':deadlines', 'NX', int(NOW + A.deadline_ms), id)
end
return cjson.encode({status = status})
