-- Register an upload in the status its transport begins with, once per Idempotency-Key, and queue the stages that may start at
-- once. A: upload_id, fields {name: value}, fingerprint, idempotency_key?, idempotency_ms, again?: the key of an upload that has
-- ended is free, permit? {id, count, until_ms}, limits? (core.creation_limits), parts? (of a
-- final upload, see joining.lua: one that consists of the same parts already is returned as known), requeue_ms. A volume that is
-- drained takes no new upload but final ones, whose bytes it has. Returns {created, fields (the hash as a flat
-- list, which names the queued jobs)}, {conflict}, {used_up} or {refused: {code, ...}}.
local idem = A.idempotency_key and (P .. 'idempotency:' .. A.idempotency_key)
if idem then
  local known = redis.call('GET', idem)
  if known then
    known = cjson.decode(known)
    if known.fingerprint ~= A.fingerprint then return cjson.encode({conflict = true}) end
    local status = field(known.upload_id, 'status')
    if status and not (A.again and ENDED[status]) then
      return cjson.encode({created = false, fields = flat_record(known.upload_id)})
    end
  end
end
if A.parts then
  local known = joined_before(A.parts, A.fields.owner)
  if known then return cjson.encode({created = false, fields = flat_record(known)}) end
end
local is_drained = not A.parts and redis.call('HEXISTS', P .. 'volume:' .. A.fields.volume, 'draining') == 1
if is_drained then return cjson.encode({refused = {code = 'VOLUME_DRAINING', volume = A.fields.volume}}) end
local refused = A.parts and refuse_parts(A.parts, A.fields.owner) or A.limits and refuse_creation(A.limits, A.fields, TRANSPORTS[A.fields.transport].begins)
if refused then return cjson.encode({refused = refused}) end
if A.permit and not use_permit(A.permit) then return cjson.encode({used_up = true}) end
local id = A.upload_id
begin_record(id)
for name, value in pairs(A.fields) do put(id, name, value) end
local status = transport_of(id).begins
put(id, 'status', status, 'status_since_ms', int(now()), 'created_at_ms', int(now()), 'updated_at_ms', int(now()))
move_counters(id, nil, status)
for stage, spec in pairs(transport_of(id).stages) do
  put(id, stage_field(stage, 'state'), is_needless(id, spec) and 'skipped' or 'pending')
end
-- The reader begins with the first segment, so in a window that one has its place from the start.
if A.fields.window_bytes then redis.call('SADD', reads_key(id), 1) end
redis.call('ZADD', P .. 'uploads', int(now()), id)
redis.call('ZADD', P .. 'owned:' .. A.fields.owner, int(now()), id)
redis.call('ZADD', P .. 'status:' .. status, int(now()), id)
redis.call('ZADD', P .. 'listed:' .. status, int(now()), id)
if idem then
  redis.call('SET', idem, cjson.encode({upload_id = id, fingerprint = A.fingerprint}), 'PX', int(A.idempotency_ms))
end
if A.parts then take_parts(id, A.parts) end
add_event(id, 'status', 'status', status) -- nobody can watch it yet
if status == 'processing' then trigger_stages(id, {all_received = true}) end
return cjson.encode({created = true, fields = flat_record(id)})
