-- Finish a stage: keep its result and queue the stages that may start now.
-- A: upload_id, stage, fencing_token, state (done|skipped), result?, requeue_ms. Returns {jobs} or {lost}.
local id = A.upload_id
local key = upload_key(id)
if fenced(id, A.stage, A.fencing_token) then return LOST end
-- A segment may have been invalidated since this run last asked what is pending: then there is more to transfer.
if transport_of(id).stages[A.stage].trigger == 'first_segment'
    and redis.call('HGET', key, 'segments_stored') ~= redis.call('HGET', key, 'segment_count') then
  return cjson.encode({jobs = {queue_stage(id, A.stage, 0)}})
end
drop_lease(id, A.stage)
redis.call('HSET', key, stage_field(A.stage, 'finished_at_ms'), int(NOW))
redis.call('HDEL', key, stage_field(A.stage, 'error_code'))
end_outage(id, A.stage)
if A.result then redis.call('HSET', key .. ':results', A.stage, A.result) end
set_stage(id, A.stage, A.state)
if A.stage == FINAL then
  apply(id, 'persisted')
  return cjson.encode({jobs = {}})
end
return cjson.encode({jobs = queue_startable(id)})
