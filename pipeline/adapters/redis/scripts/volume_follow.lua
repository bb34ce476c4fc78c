-- Note that an open volume was compared with the journals in this run of the server. A: volume, run. Returns {}.
-- Only on a volume that is open: Redis may have lost everything since the comparison with the journals began.
if redis.call('HEXISTS', V, 'opened_at_ms') == 1 then redis.call('HSET', V, 'followed_run', A.run) end
return cjson.encode({})
