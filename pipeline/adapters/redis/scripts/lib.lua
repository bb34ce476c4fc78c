-- Shared by every script: put in front of each when it is loaded, after the tables MOVES, TRANSPORTS, ENDED and FINAL that Python writes
-- from pipeline/core. One argument, a JSON object, comes in as A; P is the key prefix. Redis' own clock is the only clock:
-- A.now_ms exists for the model test alone.
local A = cjson.decode(ARGV[1])
local P = KEYS[1]

local function clock_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local NOW = A.now_ms or clock_ms()

-- cjson and tostring write large numbers as 1e+14; Redis wants digits. Adding 0 makes 0 of -0, which it does not take either.
local function int(n) return string.format('%.0f', n + 0) end

local function upload_key(id) return P .. 'upload:' .. id end

-- How this upload's bytes come in, and the stages that takes: a row of core.transports. Without a record: of the gateway.
local function transport_of(id) return TRANSPORTS[redis.call('HGET', upload_key(id), 'transport') or 'gateway'] end

local function changed(id) redis.call('PUBLISH', P .. 'changed', id) end

-- The event stream that dashboards read (schemas/status.py).
local function emit(id, kind, name, value, code)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*',
    'upload_id', id, 'kind', kind, 'name', name, 'value', value, 'error_code', code or '')
  changed(id)
end

local function stage_field(stage, field) return 'stage.' .. stage .. '.' .. field end

local function stage_get(id, stage, field) return redis.call('HGET', upload_key(id), stage_field(stage, field)) or '' end

local function lease_member(id, stage, generation) return id .. '|' .. stage .. '|' .. generation end

local function drop_lease(id, stage)
  redis.call('ZREM', P .. 'stage-leases', lease_member(id, stage, stage_get(id, stage, 'generation')))
end

-- What the stage stands on has answered: the row of failures that `stage_away` counts from is broken.
local function answered(id, stage)
  redis.call('HDEL', upload_key(id), stage_field(stage, 'away_since_ms'), stage_field(stage, 'away_failures'))
end

local function set_stage(id, stage, state, code)
  redis.call('HSET', upload_key(id), stage_field(stage, 'state'), state, 'updated_at_ms', int(NOW))
  emit(id, 'stage', stage, state, code)
end

-- The number of a stage's next run. It only grows, also when Redis comes back without its last second or was rebuilt from
-- nothing: a run that Redis no longer knows must not be taken for a new one of the same number.
local function next_generation(id, stage)
  local generation = math.max(tonumber(redis.call('HGET', upload_key(id), stage_field(stage, 'generation')) or '0') + 1, NOW)
  redis.call('HSET', upload_key(id), stage_field(stage, 'generation'), int(generation))
  return int(generation)
end

-- A new run of a stage: a new fencing number, a place in the list of things to be watched, a job for the caller to enqueue.
local function queue_stage(id, stage, after_ms)
  local key = upload_key(id)
  drop_lease(id, stage)
  local generation = next_generation(id, stage)
  redis.call('HSET', key, stage_field(stage, 'queued_at_ms'), int(NOW + after_ms))
  set_stage(id, stage, 'queued')
  redis.call('ZADD', P .. 'stage-leases', int(NOW + after_ms + A.requeue_ms), lease_member(id, stage, generation))
  return {upload_id = id, stage = stage, fencing_token = tonumber(generation), volume = redis.call('HGET', key, 'volume')}
end

-- Queue every stage that waits for one of these triggers ({name = true}); the jobs.
local function trigger_stages(id, triggers)
  local jobs = {}
  for stage, spec in pairs(transport_of(id).stages) do
    local state = stage_get(id, stage, 'state')
    if triggers[spec.trigger] and (state == 'pending' or state == 'idle') then
      jobs[#jobs + 1] = queue_stage(id, stage, 0)
    end
  end
  return jobs
end

local function is_done(id, stage)
  local state = stage_get(id, stage, 'state')
  return state == 'done' or state == 'skipped'
end

-- Apply a lifecycle event by compare-and-set: the status after it, and whether it changed. nil: no such upload.
local function apply(id, event, code, message)
  local key = upload_key(id)
  local from = redis.call('HGET', key, 'status')
  if not from then return nil, false end
  local to = MOVES[event][from]
  if not to or to == from then return from, false end
  redis.call('HSET', key, 'status', to, 'status_since_ms', int(NOW), 'updated_at_ms', int(NOW))
  redis.call('ZREM', P .. 'status:' .. from, id)
  redis.call('ZADD', P .. 'status:' .. to, int(NOW), id)
  redis.call('ZREM', P .. 'listed:' .. from, id)
  redis.call('ZADD', P .. 'listed:' .. to, redis.call('HGET', key, 'created_at_ms'), id)
  if code then redis.call('HSET', key, 'error_code', code, 'error_message', message) end
  if to == 'ready' then redis.call('HSET', key, 'content_id', id) end
  if ENDED[to] then
    -- What runs still holds its lease until it acknowledges the end or is not heard of; what does not run never will.
    for stage, _ in pairs(transport_of(id).stages) do
      local state = stage_get(id, stage, 'state')
      if state == 'pending' or state == 'queued' or state == 'idle' then
        drop_lease(id, stage)
        set_stage(id, stage, 'stopped')
      end
    end
    local volume = redis.call('HGET', key, 'volume')
    redis.call('ZADD', P .. 'volume:' .. volume .. ':ended', int(NOW), id)
    redis.call('PUBLISH', P .. 'wake', P .. 'queue:admission:' .. volume)
  end
  emit(id, 'status', 'status', to, code)
  return to, true
end

-- Is this run the latest of its stage, and may it still write?
local function fenced(id, stage, generation)
  local key = upload_key(id)
  local status = redis.call('HGET', key, 'status')
  if not status or ENDED[status] then return true end
  return stage_get(id, stage, 'generation') ~= int(generation) or stage_get(id, stage, 'state') ~= 'running'
end

local LOST = cjson.encode({lost = true})
