-- Return an upload whose bytes the disk could not allocate to its place in the queue. A: volume, upload_id. Returns {known}.
-- Two callers may allocate one reservation: one that the other has confirmed is not returned to the queue.
if redis.call('SISMEMBER', V .. ':granted', id) == 0 then return cjson.encode({known = false}) end
if not knows_owners() then compare_owners() end
local ticket = hash_get(V .. ':tickets', id)
local passes = hash_get(V .. ':passes', id)
local w, owner, journal = window_of(id), owner_in(V, id), journal_of(id)
local place = hash_get(V .. ':places', id)
local held = drop(id)
if not held then return cjson.encode({known = false}) end
hash_put(V .. ':requests', id, int(w and w.window or held.size))
if journal > 0 then hash_put(V .. ':journals', id, int(journal)) end
queue_put_back(V, id, owner, place, ticket)
if w then keep_window(id, {window = w.window, file = w.file, rest = w.file}) end
if passes then hash_put(V .. ':passes', id, passes) end
return cjson.encode({known = true})
