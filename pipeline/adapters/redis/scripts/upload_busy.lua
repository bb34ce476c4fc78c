-- An upload, unless one of its stages is running under a lease that has not lapsed. A: upload_id. Returns {busy}, or {busy, fields
-- (the record as a flat list, absent where there is no record)}.
local id = A.upload_id
for stage, state in pairs(states_of(id)) do
  if state == 'running' then
    local until_ms = redis.call('ZSCORE', P .. 'stage-leases', lease_member(id, stage, latest_token(id, stage)))
    if until_ms and tonumber(until_ms) > now() then return cjson.encode({busy = true}) end
  end
end
local flat = flat_record(id)
return cjson.encode({busy = false, fields = #flat > 0 and flat or nil})
