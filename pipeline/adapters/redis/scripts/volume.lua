-- The reservations of one temp volume, for the scripts that change them, by the rules of
-- pipeline/core/admission.py and pipeline/core/reservation.py. A.volume names the volume, A.upload_id the upload. Bytes, ms.
--
-- Keys of a volume, V, besides those of its queue (queue.lua):
--   V               hash: opened_at_ms, epoch, tickets, reserved_bytes, backed_bytes, ran_at_ms, followed_run, owners_as_of, what
--                   was last measured (free_bytes, usable_bytes, budget_bytes, measured_at_ms), and while it is drained draining
--                   ('all': nothing is admitted, 'new': what waits is) and draining_since_ms
--   V:passes        hash id -> how often it was overtaken;  V:tickets  hash id -> ticket of an upload that holds bytes
--   V:reservations  hash id -> reserved bytes;  V:backed  hash id -> bytes of them that are allocated on the disk. The bytes of
--                   journals come on top: those of uploads that hold bytes are reserved, and backed once it is confirmed
--   V:owner-bytes, V:owner-uploads  hashes owner -> what its reservations hold, and their number
--   V:granted       set of ids whose reservation is not confirmed;  V:leases, V:lapsed  zsets id -> until
--   V:deadlines     zset id -> when it expires unless every byte has arrived, of uploads that were admitted or have grants
--   V:windows       hash id -> 'window file rest' of an upload with a window, also while it waits: the window, what the
--                   file would occupy on the disk, and what of that was not given back for good
--   V:taken:<id>    hash number -> 'bytes since backed': segments of a window, and segments taken again, that hold room
--   V:given:<id>    hash number -> bytes: segments whose room was given back
--   V:wishes        zset id -> ticket;  V:wished  hash id -> 'bytes granted': room that an upload wishes for a segment that the
--                   store has lost, and how much of it a whole reservation has got
local id = A.upload_id
local V = P .. 'volume:' .. A.volume

local function number(value) return tonumber(value or '0') end
local function reserved() return number(volume_field(V, 'reserved_bytes')) end
local function backed() return number(volume_field(V, 'backed_bytes')) end

-- What every process changes that moves an upload into or out of the reservations. A process of the release before owners does
-- not write it into `owners_as_of`: then the keys of owners have to be compared (volume_upgrade.lua).
local function counters_text()
  return table.concat({volume_field(V, 'tickets') or '0', volume_field(V, 'epoch') or '0', volume_field(V, 'reserved_bytes') or '0',
    volume_field(V, 'backed_bytes') or '0'}, ' ')
end

local owners_known -- whether the keys of owners agree with these counters; nil: not asked yet

-- Asked before a script changes a counter.
local function knows_owners()
  if owners_known == nil then owners_known = volume_field(V, 'owners_as_of') == counters_text() end
  return owners_known
end

local function flush_volume()
  if owners_known and volume_field(V, 'opened_at_ms') and volume_field(V, 'owners_as_of') ~= counters_text() then
    hash_put(V, 'owners_as_of', counters_text())
  end
end

local function counter(name, delta)
  knows_owners()
  hash_add(V, name, delta)
end

local function is_reserved(who) return hash_get(V .. ':reservations', who) and true or false end
local function size_of(who) return number(hash_get(V .. ':reservations', who)) end
local function backed_of(who) return number(hash_get(V .. ':backed', who)) end
local function journal_of(who) return number(hash_get(V .. ':journals', who)) end

-- Count reservations and bytes of an owner.
local function count_owner(owner, uploads, bytes)
  hash_count(V .. ':owner-uploads', owner, uploads)
  hash_count(V .. ':owner-bytes', owner, bytes)
end

local function set_size(who, size)
  counter('reserved_bytes', size - size_of(who))
  count_owner(owner_in(V, who), 0, size - size_of(who))
  hash_put(V .. ':reservations', who, int(size))
end

-- Count allocated bytes by `delta`. Bytes that have left the disk may have been read as free already: until the disk is read
-- again, no reservation grows into them.
local function count_backed(delta)
  counter('backed_bytes', delta)
  if delta < 0 then hash_put(V, 'usable_bytes', int(math.max(0, number(volume_field(V, 'usable_bytes')) + delta))) end
end

local function set_backed(who, bytes)
  count_backed(bytes - backed_of(who))
  hash_put(V .. ':backed', who, int(bytes))
end

-- {window, file, rest} of an upload with a window; nil: it holds its whole file.
local function window_of(who)
  local window, file, rest = string.match(hash_get(V .. ':windows', who) or '', '^(%d+) (%d+) (%d+)$')
  return window and {window = tonumber(window), file = tonumber(file), rest = tonumber(rest)}
end

local function keep_window(who, w)
  hash_put(V .. ':windows', who, int(w.window) .. ' ' .. int(w.file) .. ' ' .. int(w.rest))
end

-- {bytes, since, backed} of a segment that holds room, or nil.
local function taken_of(who, segment)
  local entry = redis.call('HGET', V .. ':taken:' .. who, segment)
  local bytes, since, is_backed = string.match(entry or '', '^(%d+) (%d+) (%d)$')
  return bytes and {bytes = tonumber(bytes), since = tonumber(since), backed = is_backed == '1'}
end

local function keep_taken(who, segment, bytes, is_backed)
  redis.call('HSET', V .. ':taken:' .. who, segment, int(bytes) .. ' ' .. int(now()) .. ' ' .. (is_backed and '1' or '0'))
end

-- The bytes wished, and how many of them a whole reservation has got already. 0, 0: it has no wish.
local function wish_of(who)
  local bytes, granted = string.match(redis.call('HGET', V .. ':wished', who) or '', '^(%d+) (%d+)$')
  return tonumber(bytes or '0'), tonumber(granted or '0')
end

local function keep_wish(who, bytes, granted)
  redis.call('ZADD', V .. ':wishes', hash_get(V .. ':tickets', who), who)
  redis.call('HSET', V .. ':wished', who, int(bytes) .. ' ' .. int(granted))
end

local function drop_wish(who)
  if redis.call('ZREM', V .. ':wishes', who) == 1 then redis.call('HDEL', V .. ':wished', who) end
end

-- The bytes by which a reservation must grow so that its wish comes true.
local function needed(who)
  if redis.call('ZSCORE', V .. ':lapsed', who) then return 0 end -- its client has gone
  local bytes, granted = wish_of(who)
  if window_of(who) then return math.max(0, bytes - size_of(who)) end
  return bytes - granted
end

-- Whether the reader of an upload may still request segments. Once it waits for the manifest, it needs none.
local function reader_active(who)
  local active = false
  for stage, spec in pairs(transport_of(who).stages) do
    if spec.reads and not is_done(who, stage) then
      active = true
      if stage_state(who, stage) == 'idle'
          and field(who, stage_field(stage, 'waits_for')) == 'sealed' then return false end
    end
  end
  return active
end

-- A window is never larger than what remains of the file, once the reader requests no more segments.
local function shrink_window(who, w)
  if reader_active(who) then return end
  local size, wished = size_of(who), (wish_of(who))
  if wished > size then wished = 0 end
  if size > w.rest + wished then set_size(who, w.rest + wished) end
end

-- The file of an upload with a window turns out to occupy `file` bytes, `last_bytes` of them its last segment, number `last`. What
-- is taken beyond that has left the disk with the end of the file. Idempotent.
local function shorten(who, file, last, last_bytes)
  local w = window_of(who)
  if not w then return end
  keep_window(who, {window = w.window, file = file, rest = math.max(0, w.rest - (w.file - file))})
  if not is_reserved(who) then return end
  local unbacked = 0
  for _, segment in ipairs(redis.call('HKEYS', V .. ':taken:' .. who)) do
    local held, left = taken_of(who, segment), tonumber(segment) > last and 0 or last_bytes
    if tonumber(segment) >= last and held.bytes > left then
      unbacked = unbacked + (held.backed and held.bytes - left or 0)
      if left == 0 then
        redis.call('HDEL', V .. ':taken:' .. who, segment)
      else
        keep_taken(who, segment, left, held.backed)
      end
    end
  end
  if unbacked > 0 then
    set_backed(who, backed_of(who) - unbacked)
    counter('epoch', 1)
  end
  set_size(who, math.min(size_of(who), file))
end

-- Remove a reservation from every key; returns its size, and all bytes that it held with its journal; nil if there is none.
-- Reserved and backed bytes shrink alike, so readings of the disk from before stay usable.
local function drop(who)
  if not is_reserved(who) then return nil end
  local size = size_of(who)
  local journal = journal_of(who)
  counter('reserved_bytes', -size - journal)
  count_owner(owner_in(V, who), -1, -size - journal)
  local is_confirmed = redis.call('SREM', V .. ':granted', who) == 0
  count_backed(-backed_of(who) - (is_confirmed and journal or 0))
  for _, key in ipairs({':reservations', ':backed', ':tickets', ':places', ':owner', ':journals'}) do hash_drop(V .. key, who) end
  if redis.call('EXISTS', V .. ':passes', V .. ':windows', V .. ':wishes') > 0 then
    hash_drop(V .. ':passes', who)
    hash_drop(V .. ':windows', who)
    drop_wish(who)
  end
  if redis.call('ZREM', V .. ':leases', who) == 0 then redis.call('ZREM', V .. ':lapsed', who) end
  redis.call('DEL', V .. ':taken:' .. who, V .. ':given:' .. who)
  return {size = size, bytes = size + journal}
end

-- Wake the admission workers, if an upload waits for room that has become free.
local function offer_room()
  if redis.call('EXISTS', V .. ':queue', V .. ':wishes') > 0 then wake_admission(A.volume, 'room') end
end
