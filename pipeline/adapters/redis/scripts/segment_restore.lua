-- Record segments as stored that the journal says the store has acknowledged. A: upload_id, stored {number: etag}.
-- Returns {count}: how many were new. Only received segments count; writing the manifest shows whether the store has them.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
local count = 0
if not status or ENDED[status] then return cjson.encode({count = 0}) end
local plan_size = tonumber(redis.call('HGET', key, 'segment_bytes'))
local total = tonumber(redis.call('HGET', key, 'size_bytes'))
for number, etag in pairs(A.stored) do
  if redis.call('HEXISTS', key .. ':received', number) == 1 and redis.call('HSETNX', key .. ':stored', number, etag) == 1 then
    redis.call('ZREM', key .. ':pending', number)
    redis.call('HINCRBY', key, 'bytes_stored', int(math.min(plan_size, total - (tonumber(number) - 1) * plan_size)))
    redis.call('HINCRBY', key, 'segments_stored', 1)
    count = count + 1
  end
end
if count > 0 then changed(id) end
return cjson.encode({count = count})
