-- Compare the counters of owners with their uploads, and correct them. A: owners (that have counters), repair. Returns {wrong}:
-- {owner, counted and actual {waiting, in_flight, bytes}} of each owner whose counters differ. `wrong` is absent if none do.
local NAMES = {'waiting', 'in_flight', 'bytes'}
local actual = {}
for _, owner in ipairs(A.owners) do actual[owner] = {waiting = 0, in_flight = 0, bytes = 0} end
for status, counted in pairs(COUNTED_AS) do
  for _, id in ipairs(redis.call('ZRANGE', P .. 'status:' .. status, 0, -1)) do
    local owner, size = unpack(redis.call('HMGET', upload_key(id), 'owner', 'size_bytes'))
    if owner then
      actual[owner] = actual[owner] or {waiting = 0, in_flight = 0, bytes = 0}
      actual[owner][counted] = actual[owner][counted] + 1
      actual[owner].bytes = actual[owner].bytes + tonumber(size)
    end
  end
end
local wrong
for owner, is in pairs(actual) do
  local counted, differs = {}, false
  for _, name in ipairs(NAMES) do
    counted[name] = tonumber(redis.call('HGET', owner_key(owner), name) or '0')
    if counted[name] ~= is[name] then
      differs = true
      if A.repair then add_to_owner(owner, name, is[name] - counted[name]) end
    end
  end
  if differs then
    wrong = wrong or {}
    wrong[#wrong + 1] = {owner = owner, counted = counted, actual = is}
  end
end
return cjson.encode({wrong = wrong})
