-- Take a stage's lease. A: upload_id, stage, fencing_token, worker, lease_ms. Returns {waited_ms, takeovers} or {lost}.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
if not status or ENDED[status] then return LOST end
local generation = int(A.fencing_token)
if stage_get(id, A.stage, 'generation') ~= generation or stage_get(id, A.stage, 'state') ~= 'queued' then return LOST end
local failures = tonumber(redis.call('HGET', key, stage_field(A.stage, 'failures')) or '0')
redis.call('HSET', key, stage_field(A.stage, 'worker'), A.worker, stage_field(A.stage, 'attempt'), int(failures + 1))
if redis.call('HEXISTS', key, stage_field(A.stage, 'started_at_ms')) == 0 then
  redis.call('HSET', key, stage_field(A.stage, 'started_at_ms'), int(NOW))
end
set_stage(id, A.stage, 'running')
redis.call('ZADD', P .. 'stage-leases', int(NOW + A.lease_ms), lease_member(id, A.stage, generation))
return cjson.encode({
  waited_ms = NOW - tonumber(stage_get(id, A.stage, 'queued_at_ms')),
  takeovers = tonumber(redis.call('HGET', key, stage_field(A.stage, 'takeovers')) or '0'),
})
