-- Take over stages that were not heard of. A: limit, requeue_ms, pause_ms, grace_ms. Returns {jobs}, each with `taken_over`, and for those the
-- generation that is dead (`dead_token`). A queued stage comes back as it is: its job may have been lost on the way.
-- Nobody looked for a while: Redis was away, and who lives could not say so. Everybody gets the time to.
local watched = tonumber(redis.call('GET', P .. 'watched_at_ms') or '0')
redis.call('SET', P .. 'watched_at_ms', int(NOW))
if watched > 0 and NOW - watched > A.pause_ms then
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'stage-leases', '-inf', int(NOW + A.grace_ms))) do
    redis.call('ZADD', P .. 'stage-leases', int(NOW + A.grace_ms), member)
  end
end
local jobs = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'stage-leases', '-inf', int(NOW), 'LIMIT', 0, A.limit)) do
  local id, stage, generation = string.match(member, '^(.*)|(.*)|(.*)$')
  local key = upload_key(id)
  local status = redis.call('HGET', key, 'status')
  local state = stage_get(id, stage, 'state')
  if not status or stage_get(id, stage, 'generation') ~= generation then
    redis.call('ZREM', P .. 'stage-leases', member)
  elseif ENDED[status] then
    drop_lease(id, stage)
    if state == 'running' then set_stage(id, stage, 'stopped') end
  elseif state == 'running' then
    redis.call('HINCRBY', key, stage_field(stage, 'takeovers'), 1)
    local job = queue_stage(id, stage, 0)
    job.taken_over = true
    job.dead_token = tonumber(generation)
    jobs[#jobs + 1] = job
  elseif state == 'queued' then
    redis.call('ZADD', P .. 'stage-leases', int(NOW + A.requeue_ms), member)
    jobs[#jobs + 1] = {
      upload_id = id, stage = stage, fencing_token = tonumber(generation), volume = redis.call('HGET', key, 'volume'),
      due_in_ms = math.max(0, tonumber(stage_get(id, stage, 'queued_at_ms')) - NOW),
    }
  else
    redis.call('ZREM', P .. 'stage-leases', member)
  end
end
return cjson.encode({jobs = jobs})
