-- Record that the store holds every segment of a direct upload, apply `complete` and queue its first stages, whose jobs the record
-- names. A later call changes nothing. A: upload_id, etags (in order of number), plan? {size_bytes, segment_bytes} (of an upload
-- whose plan was deferred), requeue_ms. Returns {status} or {missing}.
local id = A.upload_id
local key = upload_key(id)
local from, deferred = fields(id, 'status', 'deferred')
if deferred and A.plan and MOVES.complete[from] then
  set_file_size(id, A.plan.size_bytes)
  put(id, 'segment_bytes', int(A.plan.segment_bytes), 'segment_count', int(#A.etags))
  unset(id, 'deferred')
end
local status, did = apply(id, 'complete')
if not status then return cjson.encode({missing = true}) end
if did then
  for number, etag in ipairs(A.etags) do redis.call('HSET', key .. ':stored', number, etag) end
  local size, count = fields(id, 'size_bytes', 'segment_count')
  put(id, 'bytes_received', size, 'bytes_stored', size, 'segments_received', count, 'segments_stored', count)
  trigger_stages(id, {all_received = true})
end
return cjson.encode({status = status})
