-- Reserve the bytes of a temp file that exists already, also above the budget. A: volume, upload_id, size_bytes, backed_bytes,
-- window_bytes?, owner, journal_bytes, lease_ms, deadline_ms, taken and given ({number: bytes}). Returns {known}.
if not knows_owners() then compare_owners() end
if not is_reserved(id) then adopt() end
confirm(true)
return cjson.encode({known = true})
