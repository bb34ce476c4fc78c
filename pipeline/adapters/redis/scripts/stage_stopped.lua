-- A run has stopped because its upload ended: nothing more will be written by it. A: upload_id, stage, fencing_token.
-- While the upload lives, nothing is done: the run's lease lapses, and the stage is taken over.
local id = A.upload_id
local status = redis.call('HGET', upload_key(id), 'status')
if status and ENDED[status] and stage_get(id, A.stage, 'generation') == int(A.fencing_token)
    and stage_get(id, A.stage, 'state') == 'running' then
  drop_lease(id, A.stage)
  set_stage(id, A.stage, 'stopped')
end
return cjson.encode({})
