-- The uploads that wait for room on a temp volume, in the order in which they would be served if everything fitted; of more than
-- OWNERS owners, those of the owners whose turn is first. A: volume, limit. Returns {uploads}: each with upload_id, owner,
-- filename?, size_bytes?, since_ms? (of its record), requested_bytes, overtaken.
local V = P .. 'volume:' .. A.volume
local found, following = {}, in_order(V, 0, OWNERS)
while #found < A.limit do
  local line = following()
  if not line then break end
  local filename, size, since = unpack(redis.call('HMGET', upload_key(line.who), 'filename', 'size_bytes', 'status_since_ms'))
  found[#found + 1] = {
    upload_id = line.who, owner = line.owner, filename = filename or nil, size_bytes = size or nil, since_ms = since or nil,
    requested_bytes = int(requested(V, line.who)), overtaken = hash_get(V .. ':passes', line.who) or '0',
  }
end
return cjson.encode({uploads = found})
