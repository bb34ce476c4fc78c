-- A stage is done: keep its result and queue what may start now, which is decided here once.
-- A: upload_id, stage, fencing_token, state (done|skipped), result?, requeue_ms. Returns {jobs} or {lost}.
local id = A.upload_id
local key = upload_key(id)
if fenced(id, A.stage, A.fencing_token) then return LOST end
-- A segment was found corrupt by an earlier run after this one had looked: there is more to transfer, now or later.
if transport_of(id).stages[A.stage].trigger == 'first_segment'
    and redis.call('HGET', key, 'segments_stored') ~= redis.call('HGET', key, 'segment_count') then
  return cjson.encode({jobs = {queue_stage(id, A.stage, 0)}})
end
drop_lease(id, A.stage)
redis.call('HSET', key, stage_field(A.stage, 'finished_at_ms'), int(NOW))
redis.call('HDEL', key, stage_field(A.stage, 'error_code'))
answered(id, A.stage)
if A.result then redis.call('HSET', key .. ':results', A.stage, A.result) end
set_stage(id, A.stage, A.state)
if A.stage == FINAL then
  apply(id, 'persisted')
  return cjson.encode({jobs = {}})
end
local jobs = {}
for stage, spec in pairs(transport_of(id).stages) do
  local waits, free = false, true
  for _, before in ipairs(spec.after) do
    waits = waits or before == A.stage
    free = free and is_done(id, before)
  end
  if waits and free and stage_get(id, stage, 'state') == 'pending' then jobs[#jobs + 1] = queue_stage(id, stage, 0) end
end
return cjson.encode({jobs = jobs})
