-- Changes of an upload's status, and which runs of its stages may still write.

-- The client of an upload that was complete has to send again: it has A.lease_ms for that, at least.
local function give_time(id)
  local least = NOW + (A.lease_ms or 0)
  local V = P .. 'volume:' .. redis.call('HGET', upload_key(id), 'volume')
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

-- Apply a lifecycle event by compare-and-set: the status after it, and whether it changed. nil: there is no such upload.
local function apply(id, event, code, message)
  local key = upload_key(id)
  local from = redis.call('HGET', key, 'status')
  if not from then return nil, false end
  local to = MOVES[event][from]
  if not to or to == from then return from, false end
  redis.call('HSET', key, 'status', to, 'status_since_ms', int(NOW), 'updated_at_ms', int(NOW))
  if not ENDED[to] then redis.call('HSETNX', key, to .. '_at_ms', int(NOW)) end
  redis.call('ZREM', P .. 'status:' .. from, id)
  redis.call('ZADD', P .. 'status:' .. to, int(NOW), id)
  redis.call('ZREM', P .. 'listed:' .. from, id)
  redis.call('ZADD', P .. 'listed:' .. to, redis.call('HGET', key, 'created_at_ms'), id)
  if code then redis.call('HSET', key, 'error_code', code, 'error_message', message) end
  if to == 'ready' then redis.call('HSET', key, 'content_id', id) end
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
    local volume = redis.call('HGET', key, 'volume')
    redis.call('ZADD', P .. 'volume:' .. volume .. ':ended', int(NOW), id)
    redis.call('ZREM', P .. 'volume:' .. volume .. ':releasing', id)
    redis.call('ZREM', P .. 'volume:' .. volume .. ':deadlines', id)
    redis.call('PUBLISH', P .. 'wake:queue:admission:' .. volume, '')
  end
  emit(id, 'status', 'status', to, code)
  return to, true
end

-- True if this run may not write: it is not the latest of its stage, it does not run, or its upload has ended.
local function fenced(id, stage, token)
  local status = redis.call('HGET', upload_key(id), 'status')
  if not status or ENDED[status] then return true end
  return latest_token(id, stage) ~= int(token) or stage_state(id, stage) ~= 'running'
end

local LOST = cjson.encode({lost = true})
