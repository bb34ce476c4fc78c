-- Note that the client of a direct upload receives grants that are valid for `valid_ms` from now; its time to expire starts
-- again, and its deadline is set by the first grants. Of a deferred plan: `segment_count` is the highest segment of these grants,
-- and the file has `size_bytes` at least. A: upload_id, valid_ms, deadline_ms, segment_count, size_bytes, limits?
-- (core.creation_limits). Returns {status}, {missing} or {refused: {code, ...}}; unless the status is `granted`, nothing has changed.
local id = A.upload_id
local status, deferred, count = fields(id, 'status', 'deferred', 'segment_count')
if not status then return cjson.encode({missing = true}) end
if status == 'granted' then
  local refused = deferred and count_growth(id, A.limits, A.size_bytes)
  if refused then return cjson.encode({refused = refused}) end
  if deferred then put(id, 'segment_count', int(math.max(A.segment_count, tonumber(count)))) end
  local until_ms = math.max(now() + A.valid_ms, tonumber(field(id, 'grants_until_ms') or '0'))
  put(id, 'granted_at_ms', int(now()), 'grants_until_ms', int(until_ms), 'updated_at_ms', int(now()))
  redis.call('ZADD', P .. 'status:granted', int(now()), id)
  local volume = field(id, 'volume')
  redis.call('ZADD', P .. 'volume:' .. volume .. ':deadlines', 'NX', int(now() + A.deadline_ms), id)
end
return cjson.encode({status = status})
