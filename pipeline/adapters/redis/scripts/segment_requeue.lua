-- Record that the store refused the manifest because of these segments: they wait for transfer again, and this stage waits for
-- transfer. Counts as a failed attempt. A: upload_id, stage, fencing_token, numbers, requeue_ms. Returns {jobs} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local plan_size = tonumber(redis.call('HGET', key, 'segment_bytes'))
local total = tonumber(redis.call('HGET', key, 'size_bytes'))
for _, n in ipairs(A.numbers) do
  local number = int(n)
  if redis.call('HDEL', key .. ':stored', number) == 1 then
    redis.call('ZADD', key .. ':pending', number, number)
    redis.call('HINCRBY', key, 'bytes_stored', int(-math.min(plan_size, total - (n - 1) * plan_size)))
    redis.call('HINCRBY', key, 'segments_stored', -1)
  end
end
drop_lease(id, A.stage)
end_outage(id, A.stage)
redis.call('HINCRBY', key, stage_field(A.stage, 'failures'), 1)
redis.call('HSET', key, stage_field(A.stage, 'error_code'), 'MANIFEST_REFUSED')
next_token(id, A.stage)
set_stage(id, A.stage, 'pending', 'MANIFEST_REFUSED')
return cjson.encode({jobs = {queue_stage(id, 'transfer', 0)}})
