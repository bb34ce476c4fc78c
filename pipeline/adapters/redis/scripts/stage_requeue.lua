-- Queue a stage again: after a failed attempt (count = true; outage = true if a dependency caused it), or because its worker is
-- stopping. A: upload_id, stage, fencing_token, count, outage?, error_code?, after_ms, requeue_ms. Returns {job} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
if A.count then
  count_stage(A.stage, 'retried', 1)
  bump(id, stage_field(A.stage, 'failures'), 1)
  put(id, stage_field(A.stage, 'error_code'), A.error_code)
  if A.outage then bump(id, stage_field(A.stage, 'outages'), 1) else end_outage(id, A.stage) end
end
return cjson.encode({job = queue_stage(id, A.stage, A.after_ms)})
