-- Acquire a stage's lease. A: upload_id, stage, fencing_token, worker, lease_ms, requeue_ms.
-- Returns {waited_ms, takeovers, fields (the record as a flat list)} or {lost}.
local id = A.upload_id
fetch_all(id)
local status = field(id, 'status')
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
return cjson.encode(start_run(id, A.stage, token))
