-- A run has stopped because its upload ended (or was fenced): nothing more will be written by it. A: upload_id, stage, generation.
local id = A.upload_id
if stage_get(id, A.stage, 'generation') == int(A.generation) and stage_get(id, A.stage, 'state') == 'running' then
  drop_lease(id, A.stage)
  set_stage(id, A.stage, 'stopped')
end
return cjson.encode({})
