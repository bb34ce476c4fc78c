-- Record that a segment's bytes are on the temp volume. The last segment moves the upload to `processing`.
-- A: upload_id, number, size_bytes, crc32c, md5? (of its client, in hexadecimal, for the store to compare), token? (of the claim), appender? (the request that appends it), restored? (recovery has found the bytes), etag? (recovery knows
-- that the store has the segment and that its bytes were released), requeue_ms, lease_ms (the lease of its
-- reservation is extended by that, also if the segment is refused).
-- Returns {status, accepted, jobs, wanted, refused?} or {missing}. `wanted`: up to 100 segments that the reader needs next.
-- refused: `differs`, the segment was received before with other bytes; `unclaimed`, its room was given back
-- meanwhile; `superseded`, another request appends now.
local id = A.upload_id
fetch_all(id)
local key = upload_key(id)
local status = field(id, 'status')
if not status then return cjson.encode({missing = true}) end
local number = int(A.number)
local function refuse(why) return cjson.encode({status = status, accepted = false, jobs = {}, wanted = {}, refused = why}) end
if not A.restored then renew_lease(id) end
if not MOVES['segment_received'][status] then return refuse() end
if field(id, 'segments_received') ~= '0' and redis.call('HEXISTS', key .. ':received', number) == 1 then return refuse() end
if A.appender and redis.call('HGET', part_key(id, 'append'), 'holder') ~= A.appender then return refuse('superseded') end
local was_released = field(id, 'bytes_released') -- of any segment
local expected = was_released and redis.call('HGET', key .. ':expected', number)
local claim = A.token and number .. '|' .. A.token
if (expected or is_windowed(id)) and not A.restored
    and not (claim and redis.call('ZSCORE', key .. ':writing', claim)) then
  return refuse('unclaimed')
end
if expected and expected ~= A.crc32c then return refuse('differs') end
redis.call('HSET', key .. ':received', number, A.crc32c)
if A.md5 then redis.call('HSET', key .. ':md5', number, A.md5) end
if expected then redis.call('HDEL', key .. ':expected', number) end
if was_released or is_windowed(id) then end_claims(id, number, claim) end
local tail = field(id, 'tail_bytes') and tail_of(id)
if tail and tail.number == A.number then drop_tail(id) end
if A.appender then redis.call('HSET', part_key(id, 'append'), 'waits', 0) end
if A.etag then
  redis.call('HSET', key .. ':stored', number, A.etag)
  count_segments(id, 'stored', number, 1)
  mark_released(id, number)
  release_later(id, 0)
else
  redis.call('ZADD', key .. ':pending', number, number)
end
bump(id, 'bytes_received', int(A.size_bytes))
local count = bump(id, 'segments_received', 1)
put(id, 'updated_at_ms', int(now()))
local last = count == tonumber(field(id, 'segment_count'))
status = apply(id, last and 'all_received' or 'segment_received')
local jobs = append(trigger_stages(id, {first_segment = true, all_received = last}), wake_readers(id))
local wanted = wanted_segments(id)
while #wanted > 100 do table.remove(wanted) end
changed(id, 'segment')
return cjson.encode({status = status, accepted = true, jobs = jobs, wanted = wanted})
