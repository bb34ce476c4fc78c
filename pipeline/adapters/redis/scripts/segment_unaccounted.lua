-- The segments of an upload that should have no bytes on the temp volume: neither arrived nor being written, or released. Until
-- segment_given is called with `*`, or for a while, no request may write. A: upload_id. Returns {windowed, numbers}.
local id = A.upload_id
local key = upload_key(id)
local status = field(id, 'status')
if not status or ENDED[status] then return cjson.encode({windowed = false, numbers = {}}) end
local windowed, writers = is_windowed(id), writers_of(id)
local numbers = {}
for n = 1, tonumber(field(id, 'segment_count')) do
  local number = int(n)
  local gone = redis.call('SISMEMBER', key .. ':released', number) == 1
  local arrived = redis.call('HEXISTS', key .. ':received', number) == 1
  local has_room = not windowed and redis.call('HEXISTS', key .. ':expected', number) == 0
  if gone or not (arrived or has_room or writers[number]) then numbers[#numbers + 1] = n end
end
if #numbers > 0 then redis.call('ZADD', key .. ':giving', int(now() + GIVING_MS), '*') end
return cjson.encode({windowed = windowed, numbers = numbers})
