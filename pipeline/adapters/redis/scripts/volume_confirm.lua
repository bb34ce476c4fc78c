-- Confirm a reservation: the temp file is allocated. A: volume, upload_id, backed_bytes, lease_ms, deadline_ms. Returns {known}.
if not is_reserved(id) then return cjson.encode({known = false}) end
confirm()
return cjson.encode({known = true})
