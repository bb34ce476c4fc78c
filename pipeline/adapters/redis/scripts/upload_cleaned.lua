-- Note that an ended upload has been cleaned up. Its record is kept for the retention time, or without limit if there is none:
-- until an operator adds it to `retired`. A: upload_id, retention_ms?.
local id = A.upload_id
local key = upload_key(id)
local volume = redis.call('HGET', key, 'volume')
if not volume then return cjson.encode({}) end
redis.call('HSET', key, 'released_at_ms', int(NOW))
redis.call('ZREM', P .. 'volume:' .. volume .. ':ended', id)
redis.call('ZREM', P .. 'volume:' .. volume .. ':releasing', id)
for _, part in ipairs({'pending', 'reads', 'released', 'expected', 'writing', 'giving'}) do redis.call('DEL', part_key(id, part)) end
if A.retention_ms then
  for _, part in ipairs({'', ':received', ':stored', ':results'}) do redis.call('PEXPIRE', key .. part, int(A.retention_ms)) end
  redis.call('ZADD', P .. 'retired', int(NOW + A.retention_ms), id)
  redis.call('HSET', P .. 'retired-owners', id, redis.call('HGET', key, 'owner') or 'default')
end
changed(id, 'segment')
return cjson.encode({})
