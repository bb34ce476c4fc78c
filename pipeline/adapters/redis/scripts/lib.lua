-- Stages of an upload, and what queues them.
--
-- Processes of two releases, with different stage graphs, may run these scripts on one record during a rolling upgrade. A stage
-- that the record has no field for reads as if the upload had been created with it (stage_state); a stage that only the record
-- has is stopped, watched and invalidated with the others (states_of), but never started or taken over.

-- A row of core.transports, or nil where this release does not know the upload's transport. An upload without a record, or
-- with one from before there were transports, came through the gateway.
local function find_transport(id) return TRANSPORTS[field(id, 'transport') or 'gateway'] end

local function transport_of(id)
  return find_transport(id) or error('upload ' .. id .. ' has a transport that this release does not know')
end

-- Append to the event stream that dashboards read (schemas/status.py).
local function add_event(id, kind, name, value, code)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', '10000', '*',
    'upload_id', id, 'kind', kind, 'name', name, 'value', value, 'error_code', code or '')
end

-- The same, and wake those who watch the upload.
local function emit(id, kind, name, value, code)
  add_event(id, kind, name, value, code)
  changed(id, kind)
end

local function stage_field(stage, name) return 'stage.' .. stage .. '.' .. name end

-- The stages of an upload's transport. What their states depend on is read together.
local function stages_of(id)
  local stages, names = transport_of(id).stages, {}
  for stage, _ in pairs(stages) do
    for _, name in ipairs({'state', 'generation', 'waits_for'}) do names[#names + 1] = stage_field(stage, name) end
  end
  fetch(id, names)
  return stages
end

local function stage_number(id, stage, name)
  return tonumber(field(id, stage_field(stage, name)) or '0')
end

-- The fencing token of a stage's latest run, as digits; '0' before the first run. Its Redis field is called `generation`.
local function latest_token(id, stage) return field(id, stage_field(stage, 'generation')) or '0' end

-- Whether an upload does not need a stage (core.transports.needless): it is `skipped` from the creation on.
local function is_needless(id, spec)
  return spec.skipped or (spec.for_digest and not field(id, 'digest'))
end

-- A record from before this stage existed says nothing about it: what upload_create would write is true of it.
local function stage_state(id, stage)
  local state = field(id, stage_field(stage, 'state'))
  if state then return state end
  local spec = transport_of(id).stages[stage]
  return spec and is_needless(id, spec) and 'skipped' or 'pending'
end

-- {stage = state} of this release's stages, and of those that another release has recorded.
local function states_of(id)
  local states = {}
  fetch_all(id)
  for stage, _ in pairs(transport_of(id).stages) do states[stage] = stage_state(id, stage) end
  for name, value in pairs(fetch_all(id)) do
    local stage = value and string.match(name, '^stage%.(.+)%.state$')
    if stage and not states[stage] then states[stage] = value end
  end
  return states
end

-- Count what runs of a stage do, for dashboards (schemas/status.py).
local function count_stage(stage, what, by)
  if by > 0 then redis.call('HINCRBY', P .. 'stages', stage .. '.' .. what, int(by)) end
end

local function lease_member(id, stage, token) return id .. '|' .. stage .. '|' .. token end

local function drop_lease(id, stage)
  local token = latest_token(id, stage)
  if token ~= '0' then redis.call('ZREM', P .. 'stage-leases', lease_member(id, stage, token)) end
end

-- Forget the consecutive failures that stage_outage counts: the stage's dependency has responded.
local function end_outage(id, stage)
  unset(id, stage_field(stage, 'away_since_ms'), stage_field(stage, 'away_failures'),
    stage_field(stage, 'away_dependency'))
end

local function set_stage(id, stage, state, code)
  put(id, stage_field(stage, 'state'), state, stage_field(stage, 'since_ms'), int(now()),
    'updated_at_ms', int(now()))
  emit(id, 'stage', stage, state, code)
end

-- The fencing token of a stage's next run. Tokens grow even if Redis loses its last second or is rebuilt from journals, because
-- they are at least the time: a run that Redis no longer knows must not be taken for a later run with the same token.
local function next_token(id, stage)
  local token = int(math.max(stage_number(id, stage, 'generation') + 1, now()))
  put(id, stage_field(stage, 'generation'), token)
  return token
end

-- Begin a new run of a stage: a new fencing token, an entry in the list that stage_overdue checks, and the job that the caller
-- enqueues.
local function queue_stage(id, stage, after_ms)
  drop_lease(id, stage)
  local token = next_token(id, stage)
  put(id, stage_field(stage, 'queued_at_ms'), int(now() + after_ms))
  unset(id, stage_field(stage, 'waits_for'))
  set_stage(id, stage, 'queued')
  redis.call('ZADD', P .. 'stage-leases', int(now() + after_ms + A.requeue_ms), lease_member(id, stage, token))
  return {upload_id = id, stage = stage, fencing_token = tonumber(token), volume = field(id, 'volume')}
end

-- Acquire the lease of a stage's run for A.worker, for A.lease_ms. Returns {waited_ms, takeovers, fields}: `fields` is the record as
-- a flat list.
local function start_run(id, stage, token)
  fetch_all(id)
  put(id, stage_field(stage, 'worker'), A.worker, stage_field(stage, 'attempt'), int(stage_number(id, stage, 'failures') + 1))
  if not field(id, stage_field(stage, 'started_at_ms')) then put(id, stage_field(stage, 'started_at_ms'), int(now())) end
  set_stage(id, stage, 'running')
  redis.call('ZADD', P .. 'stage-leases', int(now() + A.lease_ms), lease_member(id, stage, token))
  local waited_ms = now() - (tonumber(field(id, stage_field(stage, 'queued_at_ms'))) or now())
  count_stage(stage, 'started', 1)
  count_stage(stage, 'waited_ms', math.max(0, waited_ms))
  return {waited_ms = waited_ms, takeovers = stage_number(id, stage, 'takeovers'), fields = flat_record(id)}
end

-- Begin and start a run of a stage at once, in the process that has just finished another one: without a job.
local function continue_with(id, stage)
  drop_lease(id, stage)
  local token = next_token(id, stage)
  put(id, stage_field(stage, 'queued_at_ms'), int(now()))
  unset(id, stage_field(stage, 'waits_for'))
  local started = start_run(id, stage, token)
  started.job = {upload_id = id, stage = stage, fencing_token = tonumber(token), volume = field(id, 'volume')}
  return started
end

-- What an idle stage waits for (core.reading), or false: transfer waits for any segment.
local function waits_for(id, stage) return field(id, stage_field(stage, 'waits_for')) end

-- Whether a stage may start as far as the length of the file is concerned: what reads it needs to know where it ends.
local function knows_enough(id, spec) return not spec.reads or not field(id, 'deferred') end

-- Queue the stages that wait for one of these triggers ({name = true}); returns their jobs.
local function trigger_stages(id, triggers)
  local jobs = {}
  for stage, spec in pairs(stages_of(id)) do
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
-- `continues` ({stage = true}): the first of these is left to the caller, which continues with it. Also returns its name.
local function queue_startable(id, continues)
  local passed = {
    all_received = field(id, 'status') == 'processing',
    first_segment = tonumber(field(id, 'segments_received') or '0') > 0,
  }
  local jobs, following = {}, nil
  for stage, spec in pairs(stages_of(id)) do
    if stage_state(id, stage) == 'pending' and (passed[spec.trigger] or spec.trigger == 'predecessors')
        and predecessors_done(id, spec) and knows_enough(id, spec) then
      if continues and continues[stage] and not following then
        following = stage
      else
        jobs[#jobs + 1] = queue_stage(id, stage, 0)
      end
    end
  end
  return jobs, following
end

-- The segments that the reader of an upload needs: those that it holds in a window, and those that it has requested.
local function reads_key(id) return upload_key(id) .. ':reads' end

-- Whether every stage that reads the file is done.
local function reader_done(id)
  for stage, spec in pairs(stages_of(id)) do
    if spec.reads and not is_done(id, stage) then return false end
  end
  return true
end

-- Whether the reader may need segments: in a window it holds the first one from the creation on, others are requested.
local function has_reads(id)
  if field(id, 'window_bytes') then return true end
  for stage, spec in pairs(transport_of(id).stages) do
    if spec.reads and field(id, stage_field(stage, 'requests')) then return true end
  end
  return false
end

-- The segments that the reader has requested and that have not arrived, in no order.
local function wanted_segments(id)
  local numbers = {}
  local status = field(id, 'status')
  if not status or not MOVES['segment_received'][status] or not has_reads(id) or reader_done(id) then return numbers end
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
  if field(id, 'status') == 'processing' then return true end
  return what == 'segments' and #wanted_segments(id) == 0
end

-- Queue the idle stages whose wait is over; returns their jobs. Every script that records an arrival, or the end of a stage, does
-- so in the same step, so that no stage waits for what has happened already.
local function wake_readers(id)
  local jobs = {}
  for stage, _ in pairs(stages_of(id)) do
    local what = stage_state(id, stage) == 'idle' and waits_for(id, stage)
    if what and wait_is_over(id, what) then jobs[#jobs + 1] = queue_stage(id, stage, 0) end
  end
  return jobs
end

local function append(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end
