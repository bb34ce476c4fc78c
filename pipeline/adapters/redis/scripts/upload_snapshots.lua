-- Uploads with their standing and their received segments. A: upload_id for one upload; for a page of an index, newest first:
-- owner? and status? (without them: every upload), search? (in lower case: only uploads whose id begins with it, or whose file name
-- contains it, whatever the case of ASCII letters), before_ms? and before_id? (only uploads created before that), limit, examine (how many
-- index entries this call may examine).
-- Returns {uploads, examined} and, unless the index ended first, last_ms and last_id: the last entry examined; next_ms and next_id
-- are the same, if the page is not full.
-- Each upload: fields (the hash as a flat list), received and wanted (segment numbers joined by commas), standing {queue_position,
-- lease_until_ms?} while it waits, or holds bytes and more are expected, deadline_ms? until every byte has arrived, and, of one upload, media: the result of stage `probe`, JSON.
-- `received` and `wanted` are strings because cjson writes an empty array as {}.
local TAKES_SEGMENTS = {granted = true, waiting = true, admitted = true, receiving = true}

-- nil: nothing is expected of its client, or it neither waits nor holds bytes.
local function standing(id, status, v)
  if status == 'waiting' then return standing_of(v, id) end
  if status ~= 'admitted' and status ~= 'receiving' then return nil end
  local until_ms = redis.call('ZSCORE', v .. ':leases', id)
  return until_ms and {queue_position = 0, lease_until_ms = tonumber(until_ms)} or standing_of(v, id)
end

-- The result of stage `probe`, of one upload.
local function media(id)
  local is_known = A.upload_id and field(id, 'stage.probe.state') == 'done'
  return is_known and redis.call('HGET', upload_key(id) .. ':results', 'probe') or nil
end

local function deadline(id, volume)
  local until_ms = redis.call('ZSCORE', P .. 'volume:' .. volume .. ':deadlines', id)
  return until_ms and tonumber(until_ms) or nil
end

-- nil: the upload has no record, or no longer.
local function snapshot(id)
  local key = upload_key(id)
  local flat = flat_record(id)
  if #flat == 0 then return nil end
  local status, volume, count = fields(id, 'status', 'volume', 'segments_received')
  local received = {}
  if TAKES_SEGMENTS[status] and count ~= '0' then received = redis.call('HKEYS', key .. ':received') end
  return {
    fields = flat, received = table.concat(received, ','), wanted = table.concat(wanted_segments(id), ','),
    standing = standing(id, status, P .. 'volume:' .. volume), media = media(id),
    deadline_ms = TAKES_SEGMENTS[status] and deadline(id, volume) or nil,
  }
end

if A.upload_id then return cjson.encode({uploads = {snapshot(A.upload_id)}}) end

local index = P .. (A.owner and 'owned:' .. A.owner or A.status and 'listed:' .. A.status or 'uploads')

-- The index of an owner has uploads of every status.
local function is_listed(id)
  if not A.search then return not (A.owner and A.status) or field(id, 'status') == A.status end
  local status, filename = fields(id, 'status', 'filename')
  if not filename or A.status and status ~= A.status then return false end
  return string.sub(id, 1, #A.search) == A.search or string.find(string.lower(filename), A.search, 1, true) ~= nil
end

local highest = A.before_ms and int(A.before_ms) or '+inf'
local found, examined, offset = {}, 0, 0
local last_ms, last_id
local batch = A.search and 200 or A.limit
while #found < A.limit and examined < A.examine do
  local entries = redis.call('ZREVRANGEBYSCORE', index, highest, '-inf', 'WITHSCORES', 'LIMIT', offset, batch)
  if #entries == 0 then return cjson.encode({uploads = found, examined = examined}) end
  offset = offset + #entries / 2
  for i = 1, #entries, 2 do
    local id, ms = entries[i], tonumber(entries[i + 1])
    -- Uploads of one millisecond are in descending order of id; those up to before_id are on an earlier page.
    if #found < A.limit and examined < A.examine and (not A.before_ms or ms < A.before_ms or id < A.before_id) then
      examined = examined + 1
      last_ms, last_id = ms, id
      if is_listed(id) then found[#found + 1] = snapshot(id) end
    end
  end
end
local reply = {uploads = found, examined = examined, last_ms = last_ms, last_id = last_id}
if #found < A.limit then reply.next_ms, reply.next_id = last_ms, last_id end
return cjson.encode(reply)
