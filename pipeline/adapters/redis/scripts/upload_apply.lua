-- Apply a lifecycle event. Admission starts the stages of an upload whose bytes are in the store already.
-- A: upload_id, event, error_code?, error_message?, requeue_ms. Returns {status, changed, jobs} or {missing}.
local id = A.upload_id
fetch_all(id)
local status, did = apply(id, A.event, A.error_code, A.error_message)
if not status then return cjson.encode({missing = true}) end
local jobs = {}
if did and A.event == 'admit' and transport_of(id).in_store then
  status = apply(id, 'all_received')
  jobs = trigger_stages(id, {all_received = true})
end
return cjson.encode({status = status, changed = did, jobs = jobs})
