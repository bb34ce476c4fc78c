-- Changes of an upload's status, and which runs of its stages may still write.

-- The client of an upload that was complete has to send again: it has A.lease_ms for that, at least.
local function give_time(id)
  local least = now() + (A.lease_ms or 0)
  local V = P .. 'volume:' .. field(id, 'volume')
  local lapsed = redis.call('ZSCORE', V .. ':lapsed', id)
  if lapsed then
    redis.call('ZREM', V .. ':lapsed', id)
    redis.call('ZADD', V .. ':leases', lapsed, id)
  end
  for _, key in ipairs({V .. ':leases', V .. ':deadlines'}) do
    local until_ms = redis.call('ZSCORE', key, id)
    if until_ms and tonumber(until_ms) < least then redis.call('ZADD', key, int(least), id) end
  end
end

-- The client of an upload is there: extend the lease of its reservation to A.lease_ms from now, also if it has lapsed.
local function renew_lease(id)
  local V = P .. 'volume:' .. field(id, 'volume')
  local until_ms = int(now() + A.lease_ms)
  if redis.call('ZADD', V .. ':leases', 'XX', 'GT', 'CH', until_ms, id) == 1 then return end
  if redis.call('ZREM', V .. ':lapsed', id) == 1 then redis.call('ZADD', V .. ':leases', until_ms, id) end
end

-- Wake the admission workers of a volume: an upload has `ended` and is to be cleaned up, or there is `room` for others.
local function wake_admission(volume, why) redis.call('PUBLISH', P .. 'wake:queue:admission:' .. volume, why) end

-- Statuses that webhooks are notified of; PostgreSQL records `content.ready` and `content.deleted`.
local NEWS = {admitted = 'upload.admitted', failed = 'upload.failed', expired = 'upload.expired'}
local SHOWN = {'owner', 'filename', 'size_bytes', 'content_type', 'metadata', 'error_code', 'error_message', 'traceparent'}
local NEWS_MS = 3 * 24 * 3600 * 1000

local function wake_notify(id) redis.call('PUBLISH', P .. 'wake:queue:notify:' .. field(id, 'volume'), 'news') end

-- Record a fact about an upload that webhooks are notified of, until a notify worker copies it (core.webhooks). It is recorded where
-- such a worker has run in the last days, and always if `always`. `media`: JSON.
local function add_news(id, kind, media, always)
  local V = P .. 'volume:' .. field(id, 'volume')
  if not always and redis.call('EXISTS', V .. ':notified') == 0 then return end
  local fact = {'type', kind, 'at_ms', int(now()), 'upload_id', id}
  local known = fetch(id, SHOWN)
  for _, name in ipairs(SHOWN) do
    local value = known[name]
    if value then
      fact[#fact + 1] = name
      fact[#fact + 1] = value
    end
  end
  if media then
    fact[#fact + 1] = 'media'
    fact[#fact + 1] = media
  end
  redis.call('XADD', V .. ':news', '*', unpack(fact))
  redis.call('PEXPIRE', V .. ':news', NEWS_MS)
  wake_notify(id)
end

-- Apply a lifecycle event by compare-and-set: the status after it, and whether it changed. nil: there is no such upload.
local function apply(id, event, code, message)
  local from = field(id, 'status')
  if not from then return nil, false end
  local to = MOVES[event][from]
  if not to or to == from then return from, false end
  put(id, 'status', to, 'status_since_ms', int(now()), 'updated_at_ms', int(now()))
  if not ENDED[to] and not field(id, to .. '_at_ms') then put(id, to .. '_at_ms', int(now())) end
  -- A Redis without memory refuses the first write of a script: an addition comes first.
  redis.call('ZADD', P .. 'status:' .. to, int(now()), id)
  redis.call('ZREM', P .. 'status:' .. from, id)
  redis.call('ZREM', P .. 'listed:' .. from, id)
  redis.call('ZADD', P .. 'listed:' .. to, field(id, 'created_at_ms'), id)
  if code then put(id, 'error_code', code, 'error_message', message) end
  if to == 'ready' then put(id, 'content_id', id) end
  move_counters(id, from, to)
  if event == 'segment_lost' then give_time(id) end
  if ENDED[to] then
    -- A running stage holds its lease until it acknowledges the end or the lease lapses; the others never start.
    for stage, state in pairs(states_of(id)) do
      if state == 'pending' or state == 'queued' or state == 'idle' then
        drop_lease(id, stage)
        set_stage(id, stage, 'stopped')
      end
    end
    local volume = field(id, 'volume')
    redis.call('ZADD', P .. 'volume:' .. volume .. ':ended', int(now()), id)
    redis.call('ZREM', P .. 'volume:' .. volume .. ':releasing', id)
    redis.call('ZREM', P .. 'volume:' .. volume .. ':deadlines', id)
    wake_admission(volume, 'ended')
  end
  if NEWS[to] then add_news(id, NEWS[to]) end
  if to == 'ready' then wake_notify(id) end -- PostgreSQL has recorded it
  emit(id, 'status', 'status', to, code)
  return to, true
end

-- True if this run may not write: it is not the latest of its stage, it does not run, or its upload has ended.
local function fenced(id, stage, token)
  fetch(id, {stage_field(stage, 'state'), stage_field(stage, 'generation')})
  local status = field(id, 'status')
  if not status or ENDED[status] then return true end
  return latest_token(id, stage) ~= int(token) or stage_state(id, stage) ~= 'running'
end

local LOST = cjson.encode({lost = true})
