-- Record a tail that the journal has and that is on the temp volume, where Redis knows less of it. A: upload_id, tail. Returns
-- {restored}.
local id = A.upload_id
local status = field(id, 'status')
local number = int(A.tail.number)
local takes = status and MOVES['segment_received'][status]
if not takes or redis.call('HEXISTS', part_key(id, 'received'), number) == 1
    or redis.call('HEXISTS', part_key(id, 'append'), 'holder') == 1 then
  return cjson.encode({restored = false})
end
local known = tail_of(id)
if known and not known.held and (known.number ~= A.tail.number or known.size_bytes >= A.tail.size_bytes) then
  return cjson.encode({restored = false})
end
keep_tail(id, A.tail)
return cjson.encode({restored = true})
