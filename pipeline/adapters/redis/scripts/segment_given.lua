-- The room of these segments has been given back, and others may take it. A: upload_id, numbers (`*`: every segment). Returns {}.
local id = A.upload_id
local lost = false
for _, number in ipairs(A.numbers) do
  redis.call('ZREM', part_key(id, 'giving'), number)
  lost = lost or redis.call('HEXISTS', part_key(id, 'received'), number) == 0
end
if lost then changed(id, 'segment') end -- a request may wait to send one of them
return cjson.encode({})
