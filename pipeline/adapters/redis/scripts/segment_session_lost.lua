-- Record that the store no longer knows a session: the segments stored under it wait for transfer again or, if their bytes were
-- released, for their client, and the next run opens another session. A: upload_id, session, lease_ms (lib.give_time), and stage and fencing_token of the
-- run that found out; without them the upload must still be `granted`, because a sealed upload has no session either.
-- Returns {numbers} or {lost}. Does nothing if the upload has another session.
local id = A.upload_id
local key = upload_key(id)
if A.stage and fenced(id, A.stage, A.fencing_token) then return LOST end
local numbers = {}
if (A.stage or field(id, 'status') == 'granted') and field(id, 'target_session') == A.session then
  local missing = false
  for _, number in ipairs(redis.call('HKEYS', key .. ':stored')) do
    missing = lose_stored(id, number, 'STORE_SESSION_LOST') or missing
    numbers[#numbers + 1] = tonumber(number)
  end
  unset(id, 'target_session')
  if missing then apply(id, 'segment_lost') end
end
return cjson.encode({numbers = numbers})
