-- Finish a stage: keep its result and queue the stages that may start now. A: upload_id, stage, fencing_token, state
-- (done|skipped), result?, also? {stage: {state, result?}}: stages whose work this run has done too, unless they have begun,
-- requeue_ms. Returns {jobs} or {lost}.
local id = A.upload_id
local key = upload_key(id)
if fenced(id, A.stage, A.fencing_token) then return LOST end
-- A segment may have been invalidated since this run last asked what is pending: then there is more to transfer.
local spec = transport_of(id).stages[A.stage]
if spec.trigger == 'first_segment' and not spec.reads
    and redis.call('HGET', key, 'segments_stored') ~= redis.call('HGET', key, 'segment_count') then
  return cjson.encode({jobs = {queue_stage(id, A.stage, 0)}})
end
local function finish(stage, state, result)
  redis.call('HSET', key, stage_field(stage, 'finished_at_ms'), int(NOW))
  redis.call('HDEL', key, stage_field(stage, 'error_code'))
  if result then redis.call('HSET', key .. ':results', stage, result) end
  set_stage(id, stage, state)
  count_stage(stage, 'done', 1)
end
drop_lease(id, A.stage)
end_outage(id, A.stage)
finish(A.stage, A.state, A.result)
for stage, other in pairs(A.also or {}) do
  if stage_state(id, stage) == 'pending' then finish(stage, other.state, other.result) end
end
release_due(id)
if A.stage == transport_of(id).last then
  apply(id, transport_of(id).ends)
  return cjson.encode({jobs = {}})
end
return cjson.encode({jobs = append(queue_startable(id), wake_readers(id))})
