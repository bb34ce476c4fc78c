-- Note in which cell the upload of an Idempotency-Key is created, unless one is noted that is not lost. A: key, cell,
-- lost {number: true}, kept_ms. Returns {cell}: the one that is noted now.
local name = P .. 'placement:' .. A.key
local noted = redis.call('GET', name)
if noted and not A.lost[noted] then return cjson.encode({cell = tonumber(noted)}) end
redis.call('SET', name, int(A.cell), 'PX', int(A.kept_ms))
return cjson.encode({cell = A.cell})
