-- Functions that every script shares. Python puts this file in front of each script, after the tables MOVES, TRANSPORTS and
-- ENDED, which it writes from pipeline/core. A is the script's one argument, a JSON object; P is the key prefix. Redis' clock
-- is the only clock: only the test of the admission model passes A.now_ms.
--
-- Processes of two releases, with different stage graphs, may run these scripts on one record during a rolling upgrade. A stage
-- that the record has no field for reads as if the upload had been created with it (stage_state); a stage that only the record
-- has is stopped, watched and invalidated with the others (states_of), but never started or taken over.
local A = cjson.decode(ARGV[1])
local P = KEYS[1]

local function clock_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local NOW = A.now_ms or clock_ms()

-- cjson and tostring write large numbers as 1e+14, and Redis takes digits only. Adding 0 turns -0, which Redis refuses, into 0.
local function int(n) return string.format('%.0f', n + 0) end

local function upload_key(id) return P .. 'upload:' .. id end

-- A row of core.transports, or nil where this release does not know the upload's transport. An upload without a record, or
-- with one from before there were transports, came through the gateway.
local function find_transport(id) return TRANSPORTS[redis.call('HGET', upload_key(id), 'transport') or 'gateway'] end

local function transport_of(id)
  return find_transport(id) or error('upload ' .. id .. ' has a transport that this release does not know')
end

-- Signal a change to those who watch the upload. `kind` is that of an event of the stream.
local function changed(id, kind) redis.call('PUBLISH', P .. 'changed:' .. id, kind) end

-- Append to the event stream that dashboards read (schemas/status.py).
local function emit(id, kind, name, value, code)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*',
    'upload_id', id, 'kind', kind, 'name', name, 'value', value, 'error_code', code or '')
  changed(id, kind)
end

local function stage_field(stage, field) return 'stage.' .. stage .. '.' .. field end

local function stage_number(id, stage, field)
  return tonumber(redis.call('HGET', upload_key(id), stage_field(stage, field)) or '0')
end

-- The fencing token of a stage's latest run, as digits; '0' before the first run. Its Redis field is called `generation`.
local function latest_token(id, stage) return redis.call('HGET', upload_key(id), stage_field(stage, 'generation')) or '0' end

-- Whether an upload does not need a stage (core.transports.needless): it is `skipped` from the creation on.
local function is_needless(id, spec)
  return spec.skipped or (spec.for_digest and redis.call('HEXISTS', upload_key(id), 'digest') == 0)
end

-- A record from before this stage existed says nothing about it: what upload_create would write is true of it.
local function stage_state(id, stage)
  local state = redis.call('HGET', upload_key(id), stage_field(stage, 'state'))
  if state then return state end
  local spec = transport_of(id).stages[stage]
  return spec and is_needless(id, spec) and 'skipped' or 'pending'
end

-- {stage = state} of this release's stages, and of those that another release has recorded.
local function states_of(id)
  local states = {}
  for stage, _ in pairs(transport_of(id).stages) do states[stage] = stage_state(id, stage) end
  for _, field in ipairs(redis.call('HKEYS', upload_key(id))) do
    local stage = string.match(field, '^stage%.(.+)%.state$')
    if stage and not states[stage] then states[stage] = stage_state(id, stage) end
  end
  return states
end

-- Count what runs of a stage do, for dashboards (schemas/status.py).
local function count_stage(stage, what, by) redis.call('HINCRBY', P .. 'stages', stage .. '.' .. what, int(by)) end

local function lease_member(id, stage, token) return id .. '|' .. stage .. '|' .. token end

local function drop_lease(id, stage)
  redis.call('ZREM', P .. 'stage-leases', lease_member(id, stage, latest_token(id, stage)))
end

-- Forget the consecutive failures that stage_outage counts: the stage's dependency has responded.
local function end_outage(id, stage)
  redis.call('HDEL', upload_key(id), stage_field(stage, 'away_since_ms'), stage_field(stage, 'away_failures'),
    stage_field(stage, 'away_dependency'))
end

local function set_stage(id, stage, state, code)
  redis.call('HSET', upload_key(id), stage_field(stage, 'state'), state, stage_field(stage, 'since_ms'), int(NOW),
    'updated_at_ms', int(NOW))
  emit(id, 'stage', stage, state, code)
end

-- The fencing token of a stage's next run. Tokens grow even if Redis loses its last second or is rebuilt from journals, because
-- they are at least the time: a run that Redis no longer knows must not be taken for a later run with the same token.
local function next_token(id, stage)
  local token = int(math.max(stage_number(id, stage, 'generation') + 1, NOW))
  redis.call('HSET', upload_key(id), stage_field(stage, 'generation'), token)
  return token
end

-- Begin a new run of a stage: a new fencing token, an entry in the list that stage_overdue checks, and the job that the caller
-- enqueues.
local function queue_stage(id, stage, after_ms)
  local key = upload_key(id)
  drop_lease(id, stage)
  local token = next_token(id, stage)
  redis.call('HSET', key, stage_field(stage, 'queued_at_ms'), int(NOW + after_ms))
  redis.call('HDEL', key, stage_field(stage, 'waits_for'))
  set_stage(id, stage, 'queued')
  redis.call('ZADD', P .. 'stage-leases', int(NOW + after_ms + A.requeue_ms), lease_member(id, stage, token))
  return {upload_id = id, stage = stage, fencing_token = tonumber(token), volume = redis.call('HGET', key, 'volume')}
end

-- What an idle stage waits for (core.reading), or false: transfer waits for any segment.
local function waits_for(id, stage) return redis.call('HGET', upload_key(id), stage_field(stage, 'waits_for')) end

-- Whether a stage may start as far as the length of the file is concerned: what reads it needs to know where it ends.
local function knows_enough(id, spec) return not spec.reads or redis.call('HEXISTS', upload_key(id), 'deferred') == 0 end

-- Queue the stages that wait for one of these triggers ({name = true}); returns their jobs.
local function trigger_stages(id, triggers)
  local jobs = {}
  for stage, spec in pairs(transport_of(id).stages) do
    local state = stage_state(id, stage)
    if triggers[spec.trigger] and knows_enough(id, spec) and (state == 'pending' or (state == 'idle' and not waits_for(id, stage))) then
      jobs[#jobs + 1] = queue_stage(id, stage, 0)
    end
  end
  return jobs
end

local function is_done(id, stage)
  local state = stage_state(id, stage)
  return state == 'done' or state == 'skipped'
end

local function predecessors_done(id, spec)
  for _, before in ipairs(spec.after) do
    if not is_done(id, before) then return false end
  end
  return true
end

-- Queue every pending stage whose trigger has passed; returns their jobs. That is more than the successors of the stage that
-- has just finished: a process whose graph lacks a stage does not queue it, so the next process that knows it does.
local function queue_startable(id)
  local key = upload_key(id)
  local passed = {
    all_received = redis.call('HGET', key, 'status') == 'processing',
    first_segment = tonumber(redis.call('HGET', key, 'segments_received') or '0') > 0,
  }
  local jobs = {}
  for stage, spec in pairs(transport_of(id).stages) do
    if stage_state(id, stage) == 'pending' and (passed[spec.trigger] or spec.trigger == 'predecessors')
        and predecessors_done(id, spec) and knows_enough(id, spec) then
      jobs[#jobs + 1] = queue_stage(id, stage, 0)
    end
  end
  return jobs
end

-- The segments that the reader of an upload needs: those that it holds in a window, and those that it has requested.
local function reads_key(id) return upload_key(id) .. ':reads' end

-- Whether every stage that reads the file is done.
local function reader_done(id)
  for stage, spec in pairs(transport_of(id).stages) do
    if spec.reads and not is_done(id, stage) then return false end
  end
  return true
end

-- The segments that the reader has requested and that have not arrived, in no order.
local function wanted_segments(id)
  local numbers = {}
  local status = redis.call('HGET', upload_key(id), 'status')
  if not status or not MOVES['segment_received'][status] or reader_done(id) then return numbers end
  for _, number in ipairs(redis.call('SMEMBERS', reads_key(id))) do
    if redis.call('HEXISTS', upload_key(id) .. ':received', number) == 0 then numbers[#numbers + 1] = tonumber(number) end
  end
  return numbers
end

-- Whether a wait is over: for the segments that the reader has requested (`segments`), for every segment (`received`) or for the
-- manifest (`sealed`).
local function wait_is_over(id, what)
  if is_done(id, 'seal') then return true end
  if what == 'sealed' then return false end
  if redis.call('HGET', upload_key(id), 'status') == 'processing' then return true end
  return what == 'segments' and #wanted_segments(id) == 0
end

-- Queue the idle stages whose wait is over; returns their jobs. Every script that records an arrival, or the end of a stage, does
-- so in the same step, so that no stage waits for what has happened already.
local function wake_readers(id)
  local jobs = {}
  for stage, _ in pairs(transport_of(id).stages) do
    local what = stage_state(id, stage) == 'idle' and waits_for(id, stage)
    if what and wait_is_over(id, what) then jobs[#jobs + 1] = queue_stage(id, stage, 0) end
  end
  return jobs
end

local function append(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end
