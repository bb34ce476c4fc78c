-- Begin an append: bytes that follow the upload's offset. The newest request wins. A: upload_id, token (of this request), first
-- (it asks for the first time), force (the request that appends now has not ended in time: it may not record anything from now on).
-- Returns {missing}, {superseded} (a newer request has asked), {busy} (another request appends; it is signalled to end), or
-- {status, takes, run, waits, number?, tail?: {number, size_bytes, crc32c, held?}}. takes: whether the upload takes segments, or will
-- once it is admitted; number: its first segment that is missing. run grows with each append; waits: how many appends in a row had
-- to be refused because there was no room.
local id = A.upload_id
local status = field(id, 'status')
if not status then return cjson.encode({missing = true}) end
if not MOVES['segment_received'][status] and status ~= 'waiting' then
  return cjson.encode({status = status, takes = false, run = 0, waits = 0})
end
local append_key = part_key(id, 'append')
if A.first then
  redis.call('HSET', append_key, 'appender', A.token)
elseif redis.call('HGET', append_key, 'appender') ~= A.token then
  return cjson.encode({superseded = true})
end
local holder = redis.call('HGET', append_key, 'holder')
if holder and holder ~= A.token and not A.force then
  changed(id, 'append')
  return cjson.encode({busy = true})
end
redis.call('HSET', append_key, 'holder', A.token)
local run = redis.call('HINCRBY', append_key, 'run', 1)
local number
for n = 1, tonumber(field(id, 'segment_count')) do
  if redis.call('HEXISTS', part_key(id, 'received'), int(n)) == 0 then
    number = n
    break
  end
end
return cjson.encode({
  status = status, takes = true, run = run, number = number, tail = tail_of(id),
  waits = tonumber(redis.call('HGET', append_key, 'waits') or '0'),
})
