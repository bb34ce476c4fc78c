-- Admit the uploads that may be admitted now. A: volume, lease_ms, budget_bytes, max_overtakes, lookahead, owner_bytes?,
-- owner_uploads?, pause_ms, free_bytes and headroom_bytes (of the disk), epoch (before that was read). Returns {to_allocate: [{id,
-- bytes, bytes of the file or 0}], lapsed, queue_position} or {stale}.
-- A disk reading from before Redis lost the volume does not count what is on it; one from before a preallocation counts its
-- bytes both as free and as backed. While many uploads are admitted, all of a caller's readings may be stale: then the next
-- run admits what it has queued.
if not volume_field(V, 'opened_at_ms') then return cjson.encode({stale = true}) end
if A.epoch ~= number(volume_field(V, 'epoch')) then return cjson.encode({stale = true}) end
compare_owners()
return run(false, is_quiet())
