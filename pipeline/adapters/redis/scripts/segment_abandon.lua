-- A request that was to write a segment has failed. A: upload_id, number, token?, taken: whether it may have taken room.
-- Returns {punch, give}: whether its bytes are to be removed, and whether the room is to be given back; segment_given follows.
-- Neither, if the segment has arrived or another request writes it.
local id = A.upload_id
local key = upload_key(id)
local number = int(A.number)
if A.token then redis.call('ZREM', key .. ':writing', number .. '|' .. A.token) end
local status = field(id, 'status')
local keep = cjson.encode({punch = false, give = false})
if not status or ENDED[status] then return keep end
-- It arrived by another request, was stored and released while this one was still writing.
if redis.call('SISMEMBER', key .. ':released', number) == 1 then return cjson.encode({punch = true, give = false}) end
if redis.call('HEXISTS', key .. ':received', number) == 1 then
  if A.taken then release_later(id, 0) end -- this request may have delayed the release of what another one has sent
  return keep
end
if not A.taken or writers_of(id)[number] then return keep end
if not is_windowed(id) and redis.call('HEXISTS', key .. ':expected', number) == 0 then return keep end
begin_giving(id, number)
release_later(id, REPEAT_MS)
return cjson.encode({punch = true, give = true})
