-- Remove records past their retention time from the indexes. A: limit. Returns {count}.
local ids = redis.call('ZRANGEBYSCORE', P .. 'retired', '-inf', int(now()), 'LIMIT', 0, A.limit)
for _, id in ipairs(ids) do
  redis.call('ZREM', P .. 'uploads', id)
  local owner = redis.call('HGET', P .. 'retired-owners', id) or redis.call('HGET', upload_key(id), 'owner')
  if owner then redis.call('ZREM', P .. 'owned:' .. owner, id) end
  redis.call('HDEL', P .. 'retired-owners', id)
  for status, _ in pairs(ENDED) do
    redis.call('ZREM', P .. 'status:' .. status, id)
    redis.call('ZREM', P .. 'listed:' .. status, id)
  end
  redis.call('ZREM', P .. 'retired', id)
  redis.call('DEL', upload_key(id), upload_key(id) .. ':received', upload_key(id) .. ':stored', upload_key(id) .. ':results')
end
return cjson.encode({count = #ids})
