-- Take over stages whose lease has lapsed, and return queued stages whose job may be lost.
-- A: limit, requeue_ms, pause_ms, grace_ms. Returns {jobs}: a job that was taken over has dead_token, the fencing token of the run
-- that lost its lease; the others come back unchanged, with due_in_ms.
local LEASES = P .. 'stage-leases'

-- If this script has not run for a while, Redis was unavailable and live runs could not renew: every lease gets time to.
local watched = tonumber(redis.call('GET', P .. 'watched_at_ms') or '0')
redis.call('SET', P .. 'watched_at_ms', int(now()))
if watched > 0 and now() - watched > A.pause_ms then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now() + A.grace_ms))) do
    redis.call('ZADD', LEASES, int(now() + A.grace_ms), member)
  end
end

-- A stage of another release's graph: only a process that has it can run it, so only such a process takes it over.
local function unknown(id, stage)
  local transport = find_transport(id)
  return not transport or not transport.stages[stage]
end

-- The job to enqueue, or nil. The member leaves the list, or its score moves into the future, unless its stage is unknown.
local function check(member)
  local id, stage, token = string.match(member, '^(.*)|(.*)|(.*)$')
  local status = field(id, 'status')
  if not status or latest_token(id, stage) ~= token then
    redis.call('ZREM', LEASES, member)
    return nil
  end
  local state = field(id, stage_field(stage, 'state'))
  if ENDED[status] then
    drop_lease(id, stage)
    if state == 'running' or state == 'queued' then set_stage(id, stage, 'stopped') end
    return nil
  end
  if state ~= 'running' and state ~= 'queued' then
    redis.call('ZREM', LEASES, member)
    return nil
  end
  if unknown(id, stage) then return nil, true end
  if state == 'running' then
    bump(id, stage_field(stage, 'takeovers'), 1)
    count_stage(stage, 'taken_over', 1)
    local job = queue_stage(id, stage, 0)
    job.dead_token = tonumber(token)
    return job
  end
  redis.call('ZADD', LEASES, int(now() + A.requeue_ms), member)
  return {
    upload_id = id, stage = stage, fencing_token = tonumber(token), volume = field(id, 'volume'),
    due_in_ms = math.max(0, stage_number(id, stage, 'queued_at_ms') - now()),
  }
end

local jobs, handled, passed_over = {}, 0, 0
while handled < A.limit do
  local due = redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now()), 'LIMIT', passed_over, A.limit - handled)
  if #due == 0 then break end
  for _, member in ipairs(due) do
    local job, stays = check(member)
    if stays then passed_over = passed_over + 1 else handled = handled + 1 end
    jobs[#jobs + 1] = job
  end
end
return cjson.encode({jobs = jobs})
