-- Record that the store has a segment, and decide whether a windowed upload releases it at once.
-- A: upload_id, stage, fencing_token, number, size_bytes, etag, compared (the store has compared it with the MD5 of its client).
-- Returns {released, complete} or {lost}. released: the caller journals that, removes the bytes and gives their room back; if it
-- does not, the admission worker does. complete: the store has every segment.
local id = A.upload_id
fetch_all(id)
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local number = int(A.number)
end_outage(id, A.stage)
-- A segment that was invalidated meanwhile is no longer received: what the store has of it does not count.
if redis.call('HEXISTS', key .. ':received', number) == 0 then return cjson.encode({released = false, complete = false}) end
redis.call('ZREM', key .. ':pending', number)
if A.compared then redis.call('HDEL', key .. ':md5', number) end
if redis.call('HSETNX', key .. ':stored', number, A.etag) == 1 then
  bump(id, 'bytes_stored', int(A.size_bytes))
  bump(id, 'segments_stored', 1)
else
  redis.call('HSET', key .. ':stored', number, A.etag)
end
put(id, 'updated_at_ms', int(now()))
local released = false
local which = releasable(id)
if is_windowed(id) then
  released = is_releasable(id, which, number) and not writers_of(id)[number]
  if released then
    mark_released(id, number)
    begin_giving(id, number)
  end
  release_later(id, released and REPEAT_MS or LINGER_MS)
elseif which == 'all' then
  release_later(id, LINGER_MS)
end
changed(id, 'segment')
return cjson.encode({released = released, complete = field(id, 'segments_stored') == field(id, 'segment_count')})
