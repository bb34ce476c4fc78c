-- Keep a sample of a temp volume's counters and one of the stages' counters (schemas/status.py), unless the latest is younger than
-- `every_ms`: however many processes call this, there is one sample in that time. Older ones than `keep_ms` go.
-- A: volume, every_ms, keep_ms. Returns {}.
local V = P .. 'volume:' .. A.volume

-- `taken` is JSON. Its time makes it unique. A clock that was set back leaves no samples of the future.
local function keep(key, taken)
  redis.call('ZREMRANGEBYSCORE', key, '(' .. int(now()), '+inf')
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now() - A.keep_ms))
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] and now() - tonumber(last[2]) < A.every_ms then return end
  taken.at_ms = int(now())
  redis.call('ZADD', key, int(now()), cjson.encode(taken))
  redis.call('PEXPIRE', key, int(A.keep_ms))
end

local budget, reserved, backed, free = unpack(redis.call('HMGET', V, 'budget_bytes', 'reserved_bytes', 'backed_bytes', 'free_bytes'))
if budget and free then
  keep(V .. ':samples', {
    budget_bytes = budget, reserved_bytes = reserved or '0', backed_bytes = backed or '0', free_bytes = free,
    waiting = int(redis.call('ZCARD', V .. ':queue')), reservations = int(redis.call('HLEN', V .. ':reservations')),
  })
end
local counters, flat = {}, redis.call('HGETALL', P .. 'stages')
for i = 1, #flat, 2 do counters[flat[i]] = flat[i + 1] end
keep(P .. 'stages:samples', counters)
return cjson.encode({})
