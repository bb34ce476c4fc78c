-- Record that the store has a segment. A: upload_id, stage, fencing_token, number, size_bytes, etag. Returns {} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local number = int(A.number)
end_outage(id, A.stage)
-- A segment that was invalidated meanwhile is no longer received: what the store has of it does not count.
if redis.call('HEXISTS', key .. ':received', number) == 0 then return cjson.encode({}) end
redis.call('ZREM', key .. ':pending', number)
if redis.call('HSETNX', key .. ':stored', number, A.etag) == 1 then
  redis.call('HINCRBY', key, 'bytes_stored', int(A.size_bytes))
  redis.call('HINCRBY', key, 'segments_stored', 1)
else
  redis.call('HSET', key .. ':stored', number, A.etag)
end
redis.call('HSET', key, 'updated_at_ms', int(NOW))
changed(id)
return cjson.encode({})
