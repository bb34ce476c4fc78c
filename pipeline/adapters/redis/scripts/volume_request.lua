-- Put an upload into the queue of a volume, unless it waits or holds bytes, and run admission. A: volume, upload_id, size_bytes,
-- window_bytes?, owner, journal_bytes, and as volume_run. Returns as volume_run, or {stale}: it is queued all the same.
if redis.call('HEXISTS', V, 'opened_at_ms') == 0 then return cjson.encode({stale = true}) end
enqueue(A.size_bytes)
if A.epoch ~= number(redis.call('HGET', V, 'epoch')) then return cjson.encode({stale = true}) end
return run()
