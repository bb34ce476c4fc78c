-- Record the session that the store has opened for an upload, unless one is recorded. A: upload_id, session.
-- Returns {session}: the one that counts, or {missing}: nothing is written for an upload without a record.
local id = A.upload_id
if not field(id, 'status') then return cjson.encode({missing = true}) end
if not field(id, 'target_session') then put(id, 'target_session', A.session) end
return cjson.encode({session = field(id, 'target_session')})
