-- Apply a lifecycle event. A: upload_id, event, error_code?, error_message?. Returns {status, changed} or {missing}.
local status, did = apply(A.upload_id, A.event, A.error_code, A.error_message)
if not status then return cjson.encode({missing = true}) end
return cjson.encode({status = status, changed = did})
