-- Record that a segment's bytes are not those that arrived, or not those that its client meant: it is missing again, and every stage
-- that read the file starts over.
-- A: lease_ms (lib.give_time), upload_id, number, code (what is wrong; SEGMENT_DIGEST_WRONG: the client's own MD5, which `wrong_digests`
-- of the upload then says), crc32c: the digest that did not match, or that of the bytes; a segment that was sent again meanwhile has another one and stays,
-- and so does one that is in the store only, since the caller has read the hole that its bytes left. Returns {lost}: whether
-- anything changed.
local WRONG_DIGESTS = 100

-- Its clients see these numbers, and gateways see that there are any: they compare further MD5s themselves.
local function note_wrong_digest(key, number)
  local known = redis.call('HGET', key, 'wrong_digests')
  local numbers = {}
  for other in string.gmatch(known or '', '%d+') do
    if other ~= number then numbers[#numbers + 1] = other end
  end
  numbers[#numbers + 1] = number
  while #numbers > WRONG_DIGESTS do table.remove(numbers, 1) end
  redis.call('HSET', key, 'wrong_digests', table.concat(numbers, ','))
end

local id = A.upload_id
local key = upload_key(id)
local number = int(A.number)
local status = field(id, 'status')
if not status or not MOVES['segment_lost'][status] then return cjson.encode({lost = false}) end
if redis.call('HGET', key .. ':received', number) ~= A.crc32c then return cjson.encode({lost = false}) end
if redis.call('SISMEMBER', key .. ':released', number) == 1 then return cjson.encode({lost = false}) end
redis.call('HDEL', key .. ':received', number)
redis.call('ZREM', key .. ':pending', number)
redis.call('HDEL', key .. ':md5', number)
if A.code == 'SEGMENT_DIGEST_WRONG' then note_wrong_digest(key, number) end
count_segments(id, 'received', number, -1)
if redis.call('HDEL', key .. ':stored', number) == 1 then count_segments(id, 'stored', number, -1) end
local specs = transport_of(id).stages
for stage, state in pairs(states_of(id)) do
  local spec = specs[stage]
  if spec and spec.trigger == 'first_segment' and not spec.reads then
    if state == 'done' then set_stage(id, stage, 'idle') end
  -- Of a stage that only another release knows, `skipped` may be how it began; every other state may come of the wrong bytes.
  elseif state ~= 'pending' and (spec and not is_needless(id, spec) or not spec and state ~= 'skipped') then
    drop_lease(id, stage)
    next_token(id, stage)
    redis.call('HDEL', key .. ':results', stage)
    unset(id, stage_field(stage, 'waits_for'))
    set_stage(id, stage, 'pending')
  end
end
apply(id, 'segment_lost')
emit(id, 'segment', number, 'lost', A.code or 'SEGMENT_CORRUPT')
return cjson.encode({lost = true})
