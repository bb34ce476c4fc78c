-- How long segments have held room. A: volume, upload_id. Returns {ages_ms: {number: ms}}.
local ages = {}
local entries = redis.call('HGETALL', V .. ':taken:' .. id)
for index = 1, #entries, 2 do
  ages[entries[index]] = math.max(0, now() - tonumber(string.match(entries[index + 1], '^%d+ (%d+)')))
end
return cjson.encode({ages_ms = ages})
