-- Whether a stage of this upload is running under a lease that has not lapsed. A: upload_id. Returns {busy}.
local id = A.upload_id
for stage, state in pairs(states_of(id)) do
  if state == 'running' then
    local until_ms = redis.call('ZSCORE', P .. 'stage-leases', lease_member(id, stage, latest_token(id, stage)))
    if until_ms and tonumber(until_ms) > NOW then return cjson.encode({busy = true}) end
  end
end
return cjson.encode({busy = false})
