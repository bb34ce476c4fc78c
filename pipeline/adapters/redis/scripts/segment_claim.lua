-- Announce that a request is about to take room for a segment and to write it. A: upload_id, number, token, claim_ms: how long the
-- request may take, end_bytes? (of an upload of unknown length: where the segment ends; these bytes count towards the limits of its
-- owner from now on), limits? (core.creation_limits). Returns {status, claimed, busy, crc32c?}, {refused: {code, ...}} or {missing}. crc32c: the segment has arrived already. Not claimed: it
-- has arrived, the upload takes no segments now, or the segment's room is just being given back. busy: it is not for the client to
-- make room: segments wait for the store or leave the temp volume, or this one needs room that the volume has to give.
local id = A.upload_id
local key = upload_key(id)
local status = field(id, 'status')
if not status then return cjson.encode({missing = true}) end
local number = int(A.number)
local busy = redis.call('ZCARD', key .. ':pending') > 0 or redis.call('ZCARD', key .. ':giving') > 0
  or redis.call('HEXISTS', key .. ':expected', number) == 1
local known = redis.call('HGET', key .. ':received', number)
if known or not MOVES['segment_received'][status] then
  return cjson.encode({status = status, claimed = false, busy = busy, crc32c = known or nil})
end
for _, member in ipairs({number, '*'}) do
  local until_ms = redis.call('ZSCORE', key .. ':giving', member)
  if until_ms and tonumber(until_ms) > now() then return cjson.encode({status = status, claimed = false, busy = busy}) end
end
if A.end_bytes and field(id, 'deferred') then
  local refused = count_growth(id, A.limits, A.end_bytes)
  if refused then return cjson.encode({refused = refused}) end
end
redis.call('ZREM', key .. ':giving', number)
redis.call('ZADD', key .. ':writing', int(now() + A.claim_ms), number .. '|' .. A.token)
release_later(id, A.claim_ms + LINGER_MS)
return cjson.encode({status = status, claimed = true, busy = busy})
