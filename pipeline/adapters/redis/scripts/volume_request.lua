-- Put an upload into the queue of a volume, unless it waits or holds bytes, and run admission. A: volume, upload_id, size_bytes,
-- window_bytes?, owner, journal_bytes, and as volume_run. Returns as volume_run, or {stale}: it is queued all the same.
if not volume_field(V, 'opened_at_ms') then return cjson.encode({stale = true}) end
if not knows_owners() then compare_owners() end
local quiet = is_quiet()
local is_new = not is_reserved(id) and (quiet or not redis.call('ZSCORE', V .. ':queue', id))
if A.epoch ~= number(volume_field(V, 'epoch')) then
  if is_new then enqueue(A.size_bytes) end
  return cjson.encode({stale = true})
end
return run(is_new, quiet)
