-- Record that the store holds every segment of a direct upload, and apply `complete`. A later call changes nothing.
-- A: upload_id, etags (in order of number). Returns {status} or {missing}.
local id = A.upload_id
local key = upload_key(id)
local status, did = apply(id, 'complete')
if not status then return cjson.encode({missing = true}) end
if did then
  for number, etag in ipairs(A.etags) do redis.call('HSET', key .. ':stored', number, etag) end
  redis.call('HSET', key, 'bytes_stored', redis.call('HGET', key, 'size_bytes'),
    'segments_stored', redis.call('HGET', key, 'segment_count'))
  changed(id)
end
return cjson.encode({status = status})
