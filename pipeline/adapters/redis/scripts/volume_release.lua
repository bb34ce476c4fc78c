-- Remove an upload from the queue, and free what it holds. A: volume, upload_id. Returns {bytes}.
if not knows_owners() then compare_owners() end
local held = drop(id)
local waited = not held and redis.call('ZSCORE', V .. ':queue', id)
if waited then queue_cancel(V, id) end
if not held then
  for _, key in ipairs({':requests', ':passes', ':windows', ':owner', ':journals'}) do hash_drop(V .. key, id) end
end
redis.call('ZREM', V .. ':deadlines', id)
if waited or held then offer_room() end
return cjson.encode({bytes = held and held.bytes or 0})
