-- Record that the store holds every segment of a direct upload, apply `complete` and queue its first stages, whose jobs the record
-- names. A later call changes nothing. A: upload_id, etags (in order of number), requeue_ms. Returns {status} or {missing}.
local id = A.upload_id
local key = upload_key(id)
local status, did = apply(id, 'complete')
if not status then return cjson.encode({missing = true}) end
if did then
  for number, etag in ipairs(A.etags) do redis.call('HSET', key .. ':stored', number, etag) end
  local size, count = unpack(redis.call('HMGET', key, 'size_bytes', 'segment_count'))
  redis.call('HSET', key, 'bytes_received', size, 'bytes_stored', size, 'segments_received', count, 'segments_stored', count)
  trigger_stages(id, {all_received = true})
end
return cjson.encode({status = status})
