-- A dependency of this stage did not answer: since when that is so without a break, and how often by now.
-- A: upload_id, stage, fencing_token. Returns {away_ms, failures} or {lost}. The row of failures ends by `answered` (lib): success, progress, a failure of another kind.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
redis.call('HSETNX', key, stage_field(A.stage, 'away_since_ms'), int(NOW))
return cjson.encode({
  away_ms = math.max(0, NOW - tonumber(stage_get(id, A.stage, 'away_since_ms'))),
  failures = redis.call('HINCRBY', key, stage_field(A.stage, 'away_failures'), 1),
})
