-- Extend a stage's lease. A: upload_id, stage, fencing_token, lease_ms. Returns {} or {lost}.
if fenced(A.upload_id, A.stage, A.fencing_token) then return LOST end
redis.call('ZADD', P .. 'stage-leases', int(now() + A.lease_ms), lease_member(A.upload_id, A.stage, int(A.fencing_token)))
return cjson.encode({})
