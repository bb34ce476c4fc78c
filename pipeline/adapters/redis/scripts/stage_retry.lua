-- Run now a stage that pauses before its next attempt. A: upload_id, stage, requeue_ms. Returns {state, retried, job?} or {missing}
-- or {ended = status}. `job`: what to enqueue, with `dead_token` the fencing token of the run that it
-- replaces, whose job is due later. A stage that is due already keeps its run: its job comes back unchanged, in case it was lost.
-- The attempt is a new one, as after the pause; failures, and how long a dependency has been unavailable, stay counted.
local id = A.upload_id
local status = field(id, 'status')
if not status then return cjson.encode({missing = true}) end
if ENDED[status] then return cjson.encode({ended = status}) end
local state = stage_state(id, A.stage)
if state ~= 'queued' then return cjson.encode({state = state, retried = false}) end
local token = tonumber(latest_token(id, A.stage))
if stage_number(id, A.stage, 'queued_at_ms') <= now() then
  local volume = field(id, 'volume')
  local job = {upload_id = id, stage = A.stage, fencing_token = token, volume = volume}
  return cjson.encode({state = state, retried = false, job = job})
end
local job = queue_stage(id, A.stage, 0)
job.dead_token = token
return cjson.encode({state = 'queued', retried = true, job = job})
