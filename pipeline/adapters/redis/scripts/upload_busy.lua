-- Is a stage of this upload running under a live lease? A: upload_id.
local id = A.upload_id
for stage, _ in pairs(transport_of(id).stages) do
  if stage_get(id, stage, 'state') == 'running' then
    local until_ms = redis.call('ZSCORE', P .. 'stage-leases', lease_member(id, stage, stage_get(id, stage, 'generation')))
    if until_ms and tonumber(until_ms) > NOW then return cjson.encode({busy = true}) end
  end
end
return cjson.encode({busy = false})
