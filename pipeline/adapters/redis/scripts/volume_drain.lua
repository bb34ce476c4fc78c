-- Drain a volume, or end that. A: volume, mode? ('all': nothing is admitted; 'new': what waits already is; none: end it). Returns
-- {known}: false if Redis does not know the volume. A volume that is drained already keeps the time since when it is.
if redis.call('HEXISTS', V, 'opened_at_ms') == 0 then return cjson.encode({known = false}) end
if A.mode then
  redis.call('HSET', V, 'draining', A.mode)
  redis.call('HSETNX', V, 'draining_since_ms', int(now()))
else
  redis.call('HDEL', V, 'draining', 'draining_since_ms')
end
offer_room()
return cjson.encode({known = true})
