-- Uploads past their deadline. Those whose bytes have all arrived are looked at again later: a segment may be lost.
-- A: volume, limit, lease_ms. Returns {uploads}.
local uploads = {}
for _, who in ipairs(redis.call('ZRANGEBYSCORE', V .. ':deadlines', '-inf', int(now()), 'LIMIT', 0, A.limit)) do
  local status = redis.call('HGET', upload_key(who), 'status')
  if not status or ENDED[status] then
    redis.call('ZREM', V .. ':deadlines', who)
  elseif status == 'held' or not MOVES['expire'][status] then
    redis.call('ZADD', V .. ':deadlines', int(now() + A.lease_ms), who)
  else
    uploads[#uploads + 1] = who
  end
end
return cjson.encode({uploads = uploads})
