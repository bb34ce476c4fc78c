-- Segments that wait for transfer, lowest numbers first. A: upload_id, stage, fencing_token, limit.
-- Returns {numbers, crcs, md5s (false where the client has announced none), complete} or {lost}.
local id = A.upload_id
if fenced(id, A.stage, A.fencing_token) then return LOST end
local key = upload_key(id)
local numbers = redis.call('ZRANGE', key .. ':pending', 0, A.limit - 1)
local crcs, md5s = {}, {}
if #numbers > 0 then
  crcs = redis.call('HMGET', key .. ':received', unpack(numbers))
  md5s = redis.call('HMGET', key .. ':md5', unpack(numbers))
end
local complete = field(id, 'segments_stored') == field(id, 'segment_count')
return cjson.encode({numbers = numbers, crcs = crcs, md5s = md5s, complete = complete})
