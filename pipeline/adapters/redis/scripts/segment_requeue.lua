-- Record that the store refused the manifest because of these segments: they wait for transfer again or, if their bytes were
-- released, for their client, and this stage waits for transfer. What the reader found stays true: a segment that is sent again
-- must have the same bytes. Counts as a failed attempt. A: upload_id, stage, fencing_token, numbers, lease_ms (lib.give_time),
-- requeue_ms.
-- Returns {jobs} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local missing = false
for _, n in ipairs(A.numbers) do missing = lose_stored(id, int(n), 'MANIFEST_REFUSED') or missing end
if missing then apply(id, 'segment_lost') end
drop_lease(id, A.stage)
end_outage(id, A.stage)
bump(id, stage_field(A.stage, 'failures'), 1)
put(id, stage_field(A.stage, 'error_code'), 'MANIFEST_REFUSED')
next_token(id, A.stage)
set_stage(id, A.stage, 'pending', 'MANIFEST_REFUSED')
-- The next arrival queues an idle transfer.
if missing and redis.call('ZCARD', key .. ':pending') == 0 then
  set_stage(id, 'transfer', 'idle')
  return cjson.encode({jobs = {}})
end
return cjson.encode({jobs = {queue_stage(id, 'transfer', 0)}})
