-- Record the session that the store has opened for an upload, unless one is recorded. A: upload_id, session.
-- Returns {session}: the one that counts, or {missing}: nothing is written for an upload without a record.
local key = upload_key(A.upload_id)
if redis.call('HEXISTS', key, 'status') == 0 then return cjson.encode({missing = true}) end
redis.call('HSETNX', key, 'target_session', A.session)
return cjson.encode({session = redis.call('HGET', key, 'target_session')})
