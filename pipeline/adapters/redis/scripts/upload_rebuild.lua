-- Recreate an upload's record from its journal, unless the existing record knows as much of the upload's end.
-- A: upload_id, fields {name: value}, created_at_ms, fingerprint, idempotency_key?, idempotency_ms, status (waiting, granted,
-- processing where every byte is in the store, admitted if its temp file exists, or an end), received, stored, expected and md5
-- ({number: crc32c, etag or MD5}), released (numbers), permit? {id, count, until_ms}, parts? (ids, of a final upload), requeue_ms, grants_ms?: how long from now its client may still hold grants.
-- Returns {created, jobs}.
local id = A.upload_id
local key = upload_key(id)
local old = field(id, 'status')
local same = old == A.status and (field(id, 'error_code') or '') == (A.fields.error_code or '')
if old and (same or not ENDED[A.status]) then return cjson.encode({created = false, jobs = {}}) end
if old then
  for stage, _ in pairs(states_of(id)) do drop_lease(id, stage) end
  redis.call('ZREM', P .. 'status:' .. old, id)
  redis.call('ZREM', P .. 'listed:' .. old, id)
  move_counters(id, old, nil)
  redis.call('DEL', key)
end
-- A worker that did not notice that the record was lost may have written these since.
for _, part in ipairs({'received', 'stored', 'pending', 'results', 'reads', 'released', 'expected', 'writing', 'giving', 'append', 'md5'}) do
  redis.call('DEL', part_key(id, part))
end
begin_record(id)
for name, value in pairs(A.fields) do put(id, name, value) end
put(id, 'status', A.status, 'status_since_ms', int(now()), 'created_at_ms', int(A.created_at_ms), 'updated_at_ms', int(now()),
  'recovered_at_ms', int(now()))
if A.grants_ms then put(id, 'granted_at_ms', int(now()), 'grants_until_ms', int(now() + A.grants_ms)) end
move_counters(id, nil, A.status)
for stage, spec in pairs(transport_of(id).stages) do
  put(id, stage_field(stage, 'state'),
    ENDED[A.status] and 'stopped' or is_needless(id, spec) and 'skipped' or 'pending')
end
redis.call('ZADD', P .. 'uploads', int(A.created_at_ms), id)
redis.call('ZADD', P .. 'owned:' .. A.fields.owner, int(A.created_at_ms), id)
redis.call('ZADD', P .. 'status:' .. A.status, int(now()), id)
redis.call('ZADD', P .. 'listed:' .. A.status, int(A.created_at_ms), id)
if A.permit then use_permit(A.permit) end
if A.idempotency_key then
  redis.call('SET', P .. 'idempotency:' .. A.idempotency_key,
    cjson.encode({upload_id = id, fingerprint = A.fingerprint}), 'NX', 'PX', int(A.idempotency_ms))
end
local count, all = 0, tonumber(field(id, 'segment_count'))
for number, crc in pairs(A.received) do
  redis.call('HSET', key .. ':received', number, crc)
  if not A.stored[number] then redis.call('ZADD', key .. ':pending', number, number) end
  count = count + 1
end
for number, etag in pairs(A.stored) do redis.call('HSET', key .. ':stored', number, etag) end
for number, md5 in pairs(A.md5) do redis.call('HSET', key .. ':md5', number, md5) end
for number, crc in pairs(A.expected) do redis.call('HSET', key .. ':expected', number, crc) end
for _, number in ipairs(A.released) do redis.call('SADD', key .. ':released', int(number)) end
if is_windowed(id) then
  redis.call('SADD', reads_key(id), 1)
  if not ENDED[A.status] then release_later(id, 0) end
end
for _, part_id in ipairs(A.parts or {}) do join_part(id, part_id) end
emit(id, 'status', 'status', A.status)
-- Redis may have lost the facts with the record. Events that are known already change nothing.
if NEWS[A.status] then add_news(id, NEWS[A.status], nil, true) end
local jobs = {}
if ENDED[A.status] then
  if A.status == 'ready' then put(id, 'content_id', id) end
  redis.call('ZADD', P .. 'volume:' .. field(id, 'volume') .. ':ended', int(now()), id)
elseif A.status == 'processing' then
  jobs = trigger_stages(id, {all_received = true})
elseif A.status == 'admitted' then
  local whole = count == all or transport_of(id).in_store
  if count > 0 or whole then apply(id, whole and 'all_received' or 'segment_received') end
  jobs = trigger_stages(id, {first_segment = count > 0, all_received = whole})
end
return cjson.encode({created = true, jobs = jobs})
