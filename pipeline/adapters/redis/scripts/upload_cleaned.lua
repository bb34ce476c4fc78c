-- Note that an ended upload has been cleaned up. Its record is kept for the retention time, or without limit if there is none:
-- until an operator adds it to `retired`. An upload of which no byte was ever received is kept for a shorter time, and its
-- Idempotency-Key for no longer; so is one that has become no content, of an owner with more than `owner_records` records: sending
-- one byte must not keep any number of them. A: upload_id, retention_ms?, empty_ms (of such uploads), owner_records? (without owners).
local id = A.upload_id
local key = upload_key(id)
local volume = field(id, 'volume')
if not volume then return cjson.encode({}) end
put(id, 'released_at_ms', int(now()))
redis.call('ZREM', P .. 'volume:' .. volume .. ':ended', id)
redis.call('DEL', part_key(id, 'pending'), part_key(id, 'reads'), part_key(id, 'released'), part_key(id, 'expected'),
  part_key(id, 'writing'), part_key(id, 'giving'), part_key(id, 'append'), part_key(id, 'md5'))

-- The stages of an upload begin with its first byte, also if that was lost later.
local function was_empty()
  local status, received, transport = fields(id, 'status', 'bytes_received', 'transport')
  return status ~= 'ready' and transport ~= 'import' and received == '0' and latest_token(id, 'probe') == '0'
end

local function is_one_of_many()
  local status, transport, owner = fields(id, 'status', 'transport', 'owner')
  if not A.owner_records or not owner or status == 'ready' or transport == 'import' then return false end
  return redis.call('ZCARD', P .. 'owned:' .. owner) > A.owner_records
end

if A.retention_ms then
  local keep_ms = A.retention_ms
  if (was_empty() or is_one_of_many()) and A.empty_ms < keep_ms then
    keep_ms = A.empty_ms
    local used = field(id, 'idempotency_key')
    local known = used and redis.call('GET', P .. 'idempotency:' .. used)
    if known and cjson.decode(known).upload_id == id then redis.call('PEXPIRE', P .. 'idempotency:' .. used, int(keep_ms)) end
  end
  for _, part in ipairs({'', ':received', ':stored', ':results'}) do redis.call('PEXPIRE', key .. part, int(keep_ms)) end
  redis.call('ZADD', P .. 'retired', int(now() + keep_ms), id)
  redis.call('HSET', P .. 'retired-owners', id, field(id, 'owner') or 'default')
end
changed(id, 'segment')
return cjson.encode({})
