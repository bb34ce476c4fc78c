-- Count a failure that a dependency of the stage caused. A: upload_id, stage, fencing_token. Returns {outage_ms, failures}, since
-- the first of the consecutive failures, or {lost}. end_outage (lib) ends the sequence: success, progress, another kind of failure.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
redis.call('HSETNX', key, stage_field(A.stage, 'away_since_ms'), int(NOW))
return cjson.encode({
  outage_ms = math.max(0, NOW - stage_number(id, A.stage, 'away_since_ms')),
  failures = redis.call('HINCRBY', key, stage_field(A.stage, 'away_failures'), 1),
})
