-- Count a failure that a dependency of the stage caused. A: upload_id, stage, fencing_token, dependency. Returns {outage_ms,
-- failures}, since the first of the consecutive failures, or {lost}. A failure of another dependency begins a new sequence, and
-- end_outage (lib) ends it: success, progress, another kind of failure.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local last = redis.call('HGET', key, stage_field(A.stage, 'away_dependency'))
if last and last ~= A.dependency then end_outage(id, A.stage) end
redis.call('HSET', key, stage_field(A.stage, 'away_dependency'), A.dependency)
redis.call('HSETNX', key, stage_field(A.stage, 'away_since_ms'), int(NOW))
return cjson.encode({
  outage_ms = math.max(0, NOW - stage_number(id, A.stage, 'away_since_ms')),
  failures = redis.call('HINCRBY', key, stage_field(A.stage, 'away_failures'), 1),
})
