-- Let a stage wait for bytes that it cannot read now. A: upload_id, stage, fencing_token, numbers (segments that it needs and that
-- had not arrived), sealed (true: what it needs is in the store and cannot be read there before the manifest exists), park (false:
-- only announce the segments), max_requests, max_reads? (of a window: how many segments the reader may hold), from_store (the store
-- can read segments: those that have arrived are not held, and of more than max_reads the first are announced), requeue_ms.
-- Returns {parked, waiting} or {lost}. Neither: nothing keeps the stage from reading now. `waiting`: only `park` = false keeps it
-- from being parked until the segments arrive.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local missing, new = {}, {}
for _, n in ipairs(A.numbers) do
  local number = int(n)
  if redis.call('HEXISTS', key .. ':received', number) == 0 then
    missing[#missing + 1] = number
    if redis.call('SISMEMBER', reads_key(id), number) == 0 then new[#new + 1] = number end
  end
end
if not A.sealed and #missing == 0 then return cjson.encode({parked = false}) end
local what = A.sealed and 'sealed' or 'segments'
if what == 'segments' and #new > 0 then
  if A.max_reads and A.from_store then
    release_read(id, redis.call('SMEMBERS', reads_key(id)))
    while #new > math.max(0, A.max_reads - redis.call('SCARD', reads_key(id))) do table.remove(new) end
  end
  local held = A.max_reads and redis.call('SCARD', reads_key(id)) or 0
  if #new == 0 then -- the ones before are still to arrive
  elseif stage_number(id, A.stage, 'requests') >= A.max_requests or (A.max_reads and held + #new > A.max_reads) then
    what = A.max_reads and 'sealed' or 'received'
  else
    bump(id, stage_field(A.stage, 'requests'), 1)
    for _, number in ipairs(new) do
      redis.call('SADD', reads_key(id), number)
      emit(id, 'wanted', number, A.stage)
    end
  end
end
if wait_is_over(id, what) then return cjson.encode({parked = false}) end
if not A.park then return cjson.encode({parked = false, waiting = what == 'segments'}) end
-- A reader that waits for more than segments holds none of a window: their bytes make room for the others.
if what ~= 'segments' and transport_of(id).stages[A.stage].reads then
  redis.call('DEL', reads_key(id))
  if A.max_reads then release_later(id, 0) end
end
drop_lease(id, A.stage)
end_outage(id, A.stage)
next_token(id, A.stage)
put(id, stage_field(A.stage, 'waits_for'), what)
set_stage(id, A.stage, 'idle')
return cjson.encode({parked = true})
