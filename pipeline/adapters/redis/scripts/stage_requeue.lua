-- Queue a stage again: after a failed attempt (count = true; away = true: a dependency's fault) or because its worker is
-- told to stop. A: upload_id, stage, fencing_token, count, away, error_code?, after_ms, requeue_ms. Returns {job} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
if A.count then
  redis.call('HINCRBY', key, stage_field(A.stage, 'failures'), 1)
  redis.call('HSET', key, stage_field(A.stage, 'error_code'), A.error_code)
  if A.outage then redis.call('HINCRBY', key, stage_field(A.stage, 'outages'), 1) else answered(id, A.stage) end
end
return cjson.encode({job = queue_stage(id, A.stage, A.after_ms)})
