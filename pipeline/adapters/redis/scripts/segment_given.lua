-- The room of these segments has been given back, and others may take it. A: upload_id, numbers (`*`: every segment). Returns {}.
local id = A.upload_id
for _, number in ipairs(A.numbers) do redis.call('ZREM', part_key(id, 'giving'), number) end
changed(id)
return cjson.encode({})
