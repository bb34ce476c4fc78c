-- Fail a stage that cannot succeed, and the upload with it. A: upload_id, stage, fencing_token, error_code, error_message.
-- Returns {} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
drop_lease(id, A.stage)
put(id, stage_field(A.stage, 'finished_at_ms'), int(now()), stage_field(A.stage, 'error_code'), A.error_code)
set_stage(id, A.stage, 'failed', A.error_code)
count_stage(A.stage, 'failed', 1)
apply(id, 'fail', A.error_code, A.error_message)
return cjson.encode({})
