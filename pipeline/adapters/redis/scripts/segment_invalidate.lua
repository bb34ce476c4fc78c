-- A segment's bytes are not those that arrived: it is missing again, and every stage that read the whole file starts over.
-- A: upload_id, number, crc32c: the digest that did not hold, so that a segment sent again meanwhile is left alone.
local id = A.upload_id
local key = upload_key(id)
local number = int(A.number)
local status = redis.call('HGET', key, 'status')
if not status or not MOVES['segment_lost'][status] then return cjson.encode({lost = false}) end
if redis.call('HGET', key .. ':received', number) ~= A.crc32c then return cjson.encode({lost = false}) end
local plan_size = tonumber(redis.call('HGET', key, 'segment_bytes'))
local size = math.min(plan_size, tonumber(redis.call('HGET', key, 'size_bytes')) - (A.number - 1) * plan_size)
redis.call('HDEL', key .. ':received', number)
redis.call('ZREM', key .. ':pending', number)
redis.call('HINCRBY', key, 'bytes_received', int(-size))
redis.call('HINCRBY', key, 'segments_received', -1)
if redis.call('HDEL', key .. ':stored', number) == 1 then
  redis.call('HINCRBY', key, 'bytes_stored', int(-size))
  redis.call('HINCRBY', key, 'segments_stored', -1)
end
for stage, spec in pairs(transport_of(id).stages) do
  if spec.trigger ~= 'first_segment' and stage_get(id, stage, 'state') ~= 'pending' then
    drop_lease(id, stage)
    next_generation(id, stage)
    redis.call('HDEL', key .. ':results', stage)
    set_stage(id, stage, 'pending')
  elseif spec.trigger == 'first_segment' and is_done(id, stage) then
    set_stage(id, stage, 'idle')
  end
end
apply(id, 'segment_lost')
emit(id, 'segment', number, 'lost', 'SEGMENT_CORRUPT')
return cjson.encode({lost = true})
