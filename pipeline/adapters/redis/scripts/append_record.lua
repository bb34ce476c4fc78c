-- Record the tail that an append leaves, or that it could not append anything, and end it. A: upload_id, token, tail? ({number,
-- size_bytes, crc32c, held?}), waited? (there was no room). Returns {recorded}: false if another
-- request appends now, or the upload takes no bytes any more.
local id = A.upload_id
local append_key = part_key(id, 'append')
local status = field(id, 'status')
if not status or redis.call('HGET', append_key, 'holder') ~= A.token then return cjson.encode({recorded = false}) end
local takes = MOVES['segment_received'][status] or status == 'waiting'
local arrived = A.tail and redis.call('HEXISTS', part_key(id, 'received'), int(A.tail.number)) == 1
if A.tail and takes and not arrived then
  keep_tail(id, A.tail)
  put(id, 'updated_at_ms', int(now()))
  redis.call('HSET', append_key, 'waits', 0)
elseif A.waited and takes then
  redis.call('HINCRBY', append_key, 'waits', 1)
end
redis.call('HDEL', append_key, 'holder')
changed(id, 'append')
return cjson.encode({recorded = takes and true or false})
