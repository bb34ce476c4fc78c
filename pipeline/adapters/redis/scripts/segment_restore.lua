-- Record segments as stored that the journal says the store has acknowledged, and as released those whose bytes it says have left
-- the temp volume. A: upload_id, stored {number: etag}, released (numbers). Returns {count}: how many were new.
-- Only received segments count; writing the manifest shows whether the store has them.
local id = A.upload_id
local key = upload_key(id)
local status = field(id, 'status')
local count = 0
if not status or ENDED[status] then return cjson.encode({count = 0}) end
for number, etag in pairs(A.stored) do
  if redis.call('HEXISTS', key .. ':received', number) == 1 and redis.call('HSETNX', key .. ':stored', number, etag) == 1 then
    redis.call('ZREM', key .. ':pending', number)
    count_segments(id, 'stored', number, 1)
    count = count + 1
  end
end
for _, n in ipairs(A.released) do
  local number = int(n)
  if redis.call('HEXISTS', key .. ':stored', number) == 1 and redis.call('SISMEMBER', key .. ':released', number) == 0 then
    mark_released(id, number)
    release_later(id, 0)
    count = count + 1
  end
end
if count > 0 then
  if is_windowed(id) then release_later(id, 0) end
  changed(id, 'segment')
end
return cjson.encode({count = count})
