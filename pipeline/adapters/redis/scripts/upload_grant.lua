-- Grants are given to a direct upload, good for `valid_ms` from now: so long may its client write.
-- Its time to expire begins anew. A: upload_id, valid_ms. Returns {status} or {missing}; nothing is changed unless it is `granted`.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
if not status then return cjson.encode({missing = true}) end
if status == 'granted' then
  local until_ms = math.max(NOW + A.valid_ms, tonumber(redis.call('HGET', key, 'grants_until_ms') or '0'))
  redis.call('HSET', key, 'granted_at_ms', int(NOW), 'grants_until_ms', int(until_ms), 'updated_at_ms', int(NOW))
  redis.call('ZADD', P .. 'status:granted', int(NOW), id)
end
return cjson.encode({status = status})
