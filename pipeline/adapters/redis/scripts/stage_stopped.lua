-- Record that a run has stopped because its upload ended, and writes nothing more. A: upload_id, stage, fencing_token.
-- Does nothing while the upload lives: the run's lease lapses, and the stage is taken over.
local id = A.upload_id
local status = field(id, 'status')
if status and ENDED[status] and latest_token(id, A.stage) == int(A.fencing_token)
    and stage_state(id, A.stage) == 'running' then
  drop_lease(id, A.stage)
  set_stage(id, A.stage, 'stopped')
end
return cjson.encode({})
