-- Extend the lease of a reservation. A: volume, upload_id, lease_ms. Returns {known}.
if not is_reserved(id) then return cjson.encode({known = false}) end
prolong(id)
return cjson.encode({known = true})
