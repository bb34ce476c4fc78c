-- Remove an upload from the queue, and free what it holds. A: volume, upload_id. Returns {bytes}.
if redis.call('ZSCORE', V .. ':queue', id) then queue_cancel(V, id) end
local held = drop(id)
for _, key in ipairs({':requests', ':passes', ':windows', ':owner', ':journals'}) do redis.call('HDEL', V .. key, id) end
redis.call('ZREM', V .. ':deadlines', id)
return cjson.encode({bytes = held and held.bytes or 0})
