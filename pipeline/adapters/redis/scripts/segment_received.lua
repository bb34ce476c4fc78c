-- Record that a segment's bytes are on the temp volume. The last segment moves the upload to `processing`.
-- A: upload_id, number, size_bytes, crc32c, requeue_ms. Returns {status, accepted, jobs} or {missing}.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
if not status then return cjson.encode({missing = true}) end
local number = int(A.number)
if not MOVES['segment_received'][status] or redis.call('HSETNX', key .. ':received', number, A.crc32c) == 0 then
  return cjson.encode({status = status, accepted = false, jobs = {}})
end
redis.call('ZADD', key .. ':pending', number, number)
redis.call('HINCRBY', key, 'bytes_received', int(A.size_bytes))
local count = redis.call('HINCRBY', key, 'segments_received', 1)
redis.call('HSET', key, 'updated_at_ms', int(NOW))
local last = count == tonumber(redis.call('HGET', key, 'segment_count'))
status = apply(id, last and 'all_received' or 'segment_received')
local jobs = trigger_stages(id, {first_segment = true, all_received = last})
changed(id)
return cjson.encode({status = status, accepted = true, jobs = jobs})
