-- Set the length of a file that was not known when its upload was created. A: upload_id, volume, token? (of the append; recovery has
-- none), size_bytes, limits? (core.creation_limits), final? {segment_count, file_bytes (what the file occupies on the disk),
-- last_bytes (of that, its last segment)}, requeue_ms. Without `final` only whether the file may have this length, which counts
-- towards the limits of its owner from then on. Returns {missing}, {superseded} (another request appends), {refused: {code, ...}},
-- {short} (more bytes have arrived), or {status, size_bytes? (of a length that is known), jobs}. The upload changes while it takes
-- segments only. No byte of the last segment is recorded before: until then it is the tail (pipeline/uploads/append_body.py).
local status, deferred, size, segment_bytes = fields(id, 'status', 'deferred', 'size_bytes', 'segment_bytes')
if not status then return cjson.encode({missing = true}) end
if A.token and redis.call('HGET', part_key(id, 'append'), 'holder') ~= A.token then return cjson.encode({superseded = true}) end
local function reply(known, jobs) return cjson.encode({status = status, size_bytes = known and tonumber(known), jobs = jobs or {}}) end
if deferred ~= 'length' then return reply(size) end
if not MOVES['segment_received'][status] then return reply() end
if not A.final then
  local arrived, tail = 0, tail_of(id)
  for _, part in ipairs({'received', 'expected'}) do
    for _, segment in ipairs(redis.call('HKEYS', part_key(id, part))) do
      arrived = math.max(arrived, tonumber(segment) * segment_bytes + 1) -- the next byte had arrived when it was recorded
    end
  end
  if tail then arrived = math.max(arrived, (tail.number - 1) * segment_bytes + tail.size_bytes) end
  if arrived > A.size_bytes then return cjson.encode({short = true}) end
  local refused = count_growth(id, A.limits, A.size_bytes)
  return refused and cjson.encode({refused = refused}) or reply()
end
set_file_size(id, A.size_bytes)
put(id, 'segment_count', int(A.final.segment_count), 'updated_at_ms', int(now()))
unset(id, 'deferred', 'most_bytes')
shorten(id, A.final.file_bytes, A.final.segment_count, A.final.last_bytes)
for _, part in ipairs({'writing', 'giving'}) do -- of requests that have ended, and wanted more room than there is file
  for _, member in ipairs(redis.call('ZRANGE', part_key(id, part), 0, -1)) do
    local segment = tonumber(string.match(member, '^%d+'))
    if segment and segment > A.final.segment_count then redis.call('ZREM', part_key(id, part), member) end
  end
end
changed(id, 'segment')
return reply(A.size_bytes, queue_startable(id))
