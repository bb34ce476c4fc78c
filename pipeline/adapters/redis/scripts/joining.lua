-- Partial uploads, and the final upload that takes over their segments. Their records are:
--   transport `partial`: an upload that becomes no content; `held` when the store has all of it; `joined_to` is its final upload
--   transport `final`: `parts` is JSON, a list of {upload_id, size_bytes, segment_bytes}

-- Whether a final upload consists of exactly these partial uploads, in this order.
local function consists_of(id, parts)
  local found = cjson.decode(field(id, 'parts') or '[]')
  if #found ~= #parts then return false end
  for index, part in ipairs(parts) do
    if found[index].upload_id ~= part.upload_id then return false end
  end
  return true
end

-- The final upload that these partial uploads were joined to before, unless it has ended without becoming a content.
local function joined_before(parts, owner)
  local id = redis.call('HGET', upload_key(parts[1].upload_id), 'joined_to')
  if not id then return nil end
  local status, of = fields(id, 'status', 'owner')
  if not status or of ~= owner or (ENDED[status] and status ~= 'ready') or not consists_of(id, parts) then return nil end
  return id
end

-- Why these partial uploads cannot be joined: {code, upload_id}; nil: they can be.
local function refuse_parts(parts, owner)
  for _, part in ipairs(parts) do
    local status, of, transport, joined_to = fields(part.upload_id, 'status', 'owner', 'transport', 'joined_to')
    if not status or of ~= owner then return {code = 'UPLOAD_NOT_FOUND', upload_id = part.upload_id} end
    if joined_to then return {code = 'PARTIAL_UPLOAD_USED', upload_id = part.upload_id} end
    if transport ~= 'partial' or status ~= 'held' then return {code = 'PARTIAL_UPLOADS_NOT_STORED', upload_id = part.upload_id} end
  end
  return nil
end

-- End a partial upload: its segments belong to the final upload `id` from now on. Does nothing where it has ended or has no record.
local function join_part(id, part_id)
  local status, changed_now = apply(part_id, 'join')
  if status and changed_now then put(part_id, 'joined_to', id) end
end

-- The segments of a final upload are those of its parts, in order.
local function take_parts(id, parts)
  local number = 0
  for _, part in ipairs(parts) do
    local count = tonumber(field(part.upload_id, 'segment_count'))
    for inside = 1, count do
      number = number + 1
      redis.call('HSET', upload_key(id) .. ':stored', int(number), redis.call('HGET', upload_key(part.upload_id) .. ':stored', int(inside)))
    end
    join_part(id, part.upload_id)
  end
end
