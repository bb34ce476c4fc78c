-- The room of these segments has been given back, and others may take it. A: upload_id, numbers (`*`: every segment). Returns {}.
local id = A.upload_id
for _, number in ipairs(A.numbers) do redis.call('ZREM', part_key(id, 'giving'), number) end
local volume = redis.call('HGET', upload_key(id), 'volume')
if volume then
  changed(id)
  if not is_windowed(id) then redis.call('PUBLISH', P .. 'wake', P .. 'queue:admission:' .. volume) end
end
return cjson.encode({})
