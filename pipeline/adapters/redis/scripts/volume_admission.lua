-- Admission, decided atomically by the rules of pipeline/core/admission.py; a test runs that model and this script side by side.
-- A: op (open and follow, with run, request, run, confirm, postpone, adopt, renew or release), volume, and more by op. Bytes and milliseconds.
-- Keys of a volume: hash (opened_at_ms, epoch, reserved_bytes, backed_bytes, ran_at_ms, followed_run, what was last measured), :reservations and :backed (id -> bytes),
-- :leases and :lapsed (id -> until), :queue (id -> ticket), :requests (id -> bytes), :granted (ids whose reservation is not confirmed),
-- :passes (id -> count) how often an upload was overtaken; with :tickets, also its place in the queue if its reservation is returned.
local id = A.upload_id
local V = P .. 'volume:' .. A.volume

local function number(value) return tonumber(value or '0') end
local function reserved() return number(redis.call('HGET', V, 'reserved_bytes')) end
local function backed() return number(redis.call('HGET', V, 'backed_bytes')) end
local function counter(name, delta) redis.call('HINCRBY', V, name, int(delta)) end

-- Move an upload from the queue to the reservations; its caller allocates and confirms it.
local function reserve(who, size)
  redis.call('HSET', V .. ':tickets', who, redis.call('ZSCORE', V .. ':queue', who))
  redis.call('ZREM', V .. ':queue', who)
  redis.call('HDEL', V .. ':requests', who)
  redis.call('HSET', V .. ':reservations', who, int(size))
  redis.call('ZADD', V .. ':leases', int(NOW + A.lease_ms), who)
  redis.call('SADD', V .. ':granted', who)
  counter('reserved_bytes', size)
end

-- Remove a reservation from every key; returns its bytes, or nil if there is none.
local function drop(who)
  local size = redis.call('HGET', V .. ':reservations', who)
  if not size then return nil end
  counter('reserved_bytes', -tonumber(size))
  counter('backed_bytes', -number(redis.call('HGET', V .. ':backed', who)))
  redis.call('HDEL', V .. ':reservations', who)
  redis.call('HDEL', V .. ':backed', who)
  redis.call('HDEL', V .. ':tickets', who)
  redis.call('HDEL', V .. ':passes', who)
  redis.call('ZREM', V .. ':leases', who)
  redis.call('ZREM', V .. ':lapsed', who)
  redis.call('SREM', V .. ':granted', who)
  return tonumber(size)
end

-- Extend a lease, also one that has lapsed; never shorten it.
local function prolong(who)
  local until_ms = math.max(NOW + A.lease_ms, number(redis.call('ZSCORE', V .. ':leases', who)
    or redis.call('ZSCORE', V .. ':lapsed', who)))
  redis.call('ZREM', V .. ':lapsed', who)
  redis.call('ZADD', V .. ':leases', int(until_ms), who)
end

-- If admission has not run for a while, Redis or every process was unavailable and no lease could be renewed: extend them all
-- by that time.
local function stand_still()
  local ran = number(redis.call('HGET', V, 'ran_at_ms'))
  if ran > 0 and NOW - ran > A.pause_ms then
    for _, who in ipairs(redis.call('ZRANGE', V .. ':leases', 0, -1)) do
      redis.call('ZINCRBY', V .. ':leases', int(NOW - ran), who)
    end
  end
  redis.call('HSET', V, 'ran_at_ms', int(NOW))
end

local function confirm(size)
  local now_backed = math.min(size, A.backed_bytes)
  counter('backed_bytes', now_backed - number(redis.call('HGET', V .. ':backed', id)))
  redis.call('HSET', V .. ':backed', id, int(now_backed))
  if redis.call('SREM', V .. ':granted', id) == 1 then prolong(id) end
  counter('epoch', 1)
end

local function run()
  stand_still()
  for _, who in ipairs(redis.call('ZRANGEBYSCORE', V .. ':leases', '-inf', int(NOW))) do
    -- A reservation that is not confirmed yet does not lapse: it is returned to the caller of this run.
    if redis.call('SISMEMBER', V .. ':granted', who) == 0 then
      redis.call('ZADD', V .. ':lapsed', redis.call('ZSCORE', V .. ':leases', who), who)
      redis.call('ZREM', V .. ':leases', who)
    end
  end
  local on_disk = A.free_bytes - A.headroom_bytes - (reserved() - backed())
  local room = math.max(0, math.min(A.budget_bytes - reserved(), on_disk))
  local head = redis.call('ZRANGE', V .. ':queue', 0, 0)[1]
  while head do
    local size = number(redis.call('HGET', V .. ':requests', head))
    if size > room then break end
    reserve(head, size)
    room = room - size
    head = redis.call('ZRANGE', V .. ':queue', 0, 0)[1]
  end
  if head then
    local passes = number(redis.call('HGET', V .. ':passes', head))
    for index, who in ipairs(redis.call('ZRANGE', V .. ':queue', 0, A.lookahead - 1)) do
      if passes >= A.max_overtakes then break end
      local size = number(redis.call('HGET', V .. ':requests', who))
      if index > 1 and size <= room then
        reserve(who, size)
        room = room - size
        passes = passes + 1
        redis.call('HSET', V .. ':passes', head, int(passes))
      end
    end
  end
  redis.call('SADD', P .. 'volumes', A.volume)
  redis.call('HSET', V, 'budget_bytes', int(A.budget_bytes), 'free_bytes', int(A.free_bytes), 'measured_at_ms', int(NOW))
  local to_allocate = {}
  for _, who in ipairs(redis.call('SMEMBERS', V .. ':granted')) do
    to_allocate[#to_allocate + 1] = {who, number(redis.call('HGET', V .. ':reservations', who))}
  end
  local position = 0
  local rank = id and redis.call('ZRANK', V .. ':queue', id)
  if rank then position = rank + 1 end
  return cjson.encode({
    to_allocate = to_allocate, lapsed = redis.call('ZRANGE', V .. ':lapsed', 0, 99), queue_position = position,
  })
end

if A.op == 'open' then
  redis.call('HSETNX', V, 'opened_at_ms', int(NOW))
  redis.call('HSET', V, 'followed_run', A.run)
  return cjson.encode({})
end

-- Only on a volume that is open: Redis may have lost everything since the comparison with the journals began.
if A.op == 'follow' then
  if redis.call('HEXISTS', V, 'opened_at_ms') == 1 then redis.call('HSET', V, 'followed_run', A.run) end
  return cjson.encode({})
end

if A.op == 'request' or A.op == 'run' then
  -- A disk reading from before a preallocation counts its bytes both as free and as backed; one from before Redis lost the
  -- volume does not count what is on it.
  if redis.call('HEXISTS', V, 'opened_at_ms') == 0 or A.epoch ~= number(redis.call('HGET', V, 'epoch')) then return cjson.encode({stale = true}) end
  if A.op == 'request' and redis.call('HEXISTS', V .. ':reservations', id) == 0
      and not redis.call('ZSCORE', V .. ':queue', id) then
    redis.call('ZADD', V .. ':queue', redis.call('HINCRBY', V, 'tickets', 1), id)
    redis.call('HSET', V .. ':requests', id, int(A.size_bytes))
  end
  return run()
end

if A.op == 'confirm' then
  local size = redis.call('HGET', V .. ':reservations', id)
  if not size then return cjson.encode({known = false}) end
  confirm(tonumber(size))
  return cjson.encode({known = true})
end

if A.op == 'adopt' then
  if redis.call('HEXISTS', V .. ':reservations', id) == 0 then
    if not redis.call('ZSCORE', V .. ':queue', id) then
      redis.call('ZADD', V .. ':queue', redis.call('HINCRBY', V, 'tickets', 1), id)
    end
    reserve(id, A.size_bytes)
  end
  confirm(number(redis.call('HGET', V .. ':reservations', id)))
  return cjson.encode({known = true})
end

if A.op == 'postpone' then
  -- Two callers may allocate one reservation: one that the other has confirmed is not returned to the queue.
  if redis.call('SISMEMBER', V .. ':granted', id) == 0 then return cjson.encode({known = false}) end
  local ticket = redis.call('HGET', V .. ':tickets', id)
  local passes = redis.call('HGET', V .. ':passes', id)
  local size = drop(id)
  if not size then return cjson.encode({known = false}) end
  redis.call('ZADD', V .. ':queue', ticket, id)
  redis.call('HSET', V .. ':requests', id, int(size))
  if passes then redis.call('HSET', V .. ':passes', id, passes) end
  return cjson.encode({known = true})
end

if A.op == 'renew' then
  if redis.call('HEXISTS', V .. ':reservations', id) == 0 then return cjson.encode({known = false}) end
  prolong(id)
  return cjson.encode({known = true})
end

if A.op == 'release' then
  redis.call('ZREM', V .. ':queue', id)
  redis.call('HDEL', V .. ':requests', id)
  redis.call('HDEL', V .. ':passes', id)
  return cjson.encode({bytes = drop(id) or 0})
end

error('unknown op ' .. tostring(A.op))
