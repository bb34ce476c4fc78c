-- Acquire a stage's lease. A: upload_id, stage, fencing_token, worker, lease_ms, requeue_ms.
-- Returns {waited_ms, takeovers} or {lost}.
local id = A.upload_id
local key = upload_key(id)
local status = redis.call('HGET', key, 'status')
if not status or ENDED[status] then return LOST end
local token = int(A.fencing_token)
if latest_token(id, A.stage) ~= token or stage_state(id, A.stage) ~= 'queued' then return LOST end
-- A process whose graph lacks a predecessor of this stage has queued it too early. The stage waits again; the jobs of what is
-- missing come back as overdue within requeue_ms, because this run ends here.
if not predecessors_done(id, transport_of(id).stages[A.stage]) then
  drop_lease(id, A.stage)
  next_token(id, A.stage)
  set_stage(id, A.stage, 'pending')
  queue_startable(id)
  return LOST
end
redis.call('HSET', key, stage_field(A.stage, 'worker'), A.worker,
  stage_field(A.stage, 'attempt'), int(stage_number(id, A.stage, 'failures') + 1))
redis.call('HSETNX', key, stage_field(A.stage, 'started_at_ms'), int(NOW))
set_stage(id, A.stage, 'running')
redis.call('ZADD', P .. 'stage-leases', int(NOW + A.lease_ms), lease_member(id, A.stage, token))
local queued_at_ms = tonumber(redis.call('HGET', key, stage_field(A.stage, 'queued_at_ms'))) or NOW
count_stage(A.stage, 'started', 1)
count_stage(A.stage, 'waited_ms', math.max(0, NOW - queued_at_ms))
return cjson.encode({waited_ms = NOW - queued_at_ms, takeovers = stage_number(id, A.stage, 'takeovers')})
