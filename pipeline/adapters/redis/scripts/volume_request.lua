-- Put an upload into the queue of a volume, unless it waits or holds bytes, and run admission. A: volume, upload_id, size_bytes,
-- window_bytes?, owner, journal_bytes, and as volume_run. Returns as volume_run, or {stale}: it is queued all the same.
if not volume_field(V, 'opened_at_ms') then return cjson.encode({stale = true}) end
enqueue(A.size_bytes)
if A.epoch ~= number(volume_field(V, 'epoch')) then return cjson.encode({stale = true}) end
return run()
