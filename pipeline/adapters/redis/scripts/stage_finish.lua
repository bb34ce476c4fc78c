-- Finish a stage: keep its result and queue the stages that may start now. A: upload_id, stage, fencing_token, state
-- (done|skipped), result?, also? {stage: {state, result?}}: stages whose work this run has done too, unless they have begun,
-- requeue_ms, continues? {stage: true}: stages of which the caller runs one next, if it may start, with worker and lease_ms as in
-- stage_start. Returns {jobs, started?: {job, and as stage_start}} or {lost}.
local id = A.upload_id
fetch_all(id)
local key = upload_key(id)
if fenced(id, A.stage, A.fencing_token) then return LOST end
-- A segment may have been invalidated since this run last asked what is pending: then there is more to transfer.
local spec = transport_of(id).stages[A.stage]
if spec.trigger == 'first_segment' and not spec.reads
    and field(id, 'segments_stored') ~= field(id, 'segment_count') then
  return cjson.encode({jobs = {queue_stage(id, A.stage, 0)}})
end
local results = {}
local function finish(stage, state, result)
  put(id, stage_field(stage, 'finished_at_ms'), int(now()))
  unset(id, stage_field(stage, 'error_code'))
  if result then append(results, {stage, result}) end
  set_stage(id, stage, state)
  count_stage(stage, 'done', 1)
end
drop_lease(id, A.stage)
end_outage(id, A.stage)
finish(A.stage, A.state, A.result)
if A.stage == 'probe' and A.result then add_news(id, 'media.known', A.result) end
for stage, other in pairs(A.also or {}) do
  if stage_state(id, stage) == 'pending' then finish(stage, other.state, other.result) end
end
if #results > 0 then redis.call('HSET', key .. ':results', unpack(results)) end
release_due(id)
if A.stage == transport_of(id).last then
  apply(id, transport_of(id).ends)
  return cjson.encode({jobs = {}})
end
local jobs, following = queue_startable(id, A.continues)
append(jobs, wake_readers(id))
return cjson.encode({jobs = jobs, started = following and continue_with(id, following) or nil})
