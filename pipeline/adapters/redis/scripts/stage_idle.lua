-- Release the lease of a transfer that has stored everything that arrived, unless more has arrived meanwhile. The next arrival
-- queues the stage again, exactly once. A: upload_id, stage, fencing_token. Returns {idle} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local complete = field(id, 'segments_stored') == field(id, 'segment_count')
if complete or redis.call('ZCARD', key .. ':pending') > 0 then return cjson.encode({idle = false}) end
drop_lease(id, A.stage)
set_stage(id, A.stage, 'idle')
return cjson.encode({idle = true})
