-- Count a failure that a dependency of the stage caused. A: upload_id, stage, fencing_token, dependency. Returns {outage_ms,
-- failures}, since the first of the consecutive failures, or {lost}. A failure of another dependency begins a new sequence, and
-- end_outage (lib) ends it: success, progress, another kind of failure.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local last = field(id, stage_field(A.stage, 'away_dependency'))
if last and last ~= A.dependency then end_outage(id, A.stage) end
put(id, stage_field(A.stage, 'away_dependency'), A.dependency)
if not field(id, stage_field(A.stage, 'away_since_ms')) then put(id, stage_field(A.stage, 'away_since_ms'), int(now())) end
return cjson.encode({
  outage_ms = math.max(0, now() - stage_number(id, A.stage, 'away_since_ms')),
  failures = bump(id, stage_field(A.stage, 'away_failures'), 1),
})
