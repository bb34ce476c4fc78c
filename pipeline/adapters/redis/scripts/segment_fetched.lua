-- Record that a range of an object in the store is on the temp volume; counted once, however often it is fetched.
-- A: upload_id, stage, fencing_token, number, size_bytes, crc32c. Returns {} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
end_outage(id, A.stage)
if redis.call('HSET', key .. ':received', int(A.number), A.crc32c) == 1 then
  redis.call('HINCRBY', key, 'bytes_received', int(A.size_bytes))
  redis.call('HINCRBY', key, 'segments_received', 1)
end
redis.call('HSET', key, 'updated_at_ms', int(NOW))
changed(id)
return cjson.encode({})
