-- Where the bytes of segments are that a stage is about to read. In a window, the segments that are on the temp volume are held
-- there from now on, unless the store can read segments: then none is held that has arrived, so the window empties by itself.
-- A: upload_id, stage, fencing_token, numbers, max_reads? (of a window: how many segments the reader may hold), from_store (whether
-- the store can read segments). Returns {segments: [{number, crc32c, held, stored}]}, without those that have not arrived, or
-- {lost}. `held`: it is on the temp volume, and stays there while this run reads it, or with `from_store` until it is stored.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local segments = {}
for _, n in ipairs(A.numbers) do
  local number = int(n)
  local crc32c = redis.call('HGET', key .. ':received', number)
  if crc32c then
    local held = not field(id, 'bytes_released') or redis.call('SISMEMBER', key .. ':released', number) == 0
    if held and A.max_reads and A.from_store then
      release_read(id, {number})
    elseif held and A.max_reads and redis.call('SISMEMBER', reads_key(id), number) == 0 then
      held = redis.call('SCARD', reads_key(id)) < A.max_reads
      if held then redis.call('SADD', reads_key(id), number) end
    end
    segments[#segments + 1] = {
      number = n, crc32c = crc32c, held = held, stored = redis.call('HEXISTS', key .. ':stored', number) == 1,
    }
  end
end
return cjson.encode({segments = segments})
