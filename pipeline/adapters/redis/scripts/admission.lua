-- Admission, decided atomically by the rules of pipeline/core/admission.py; a test runs that model and the scripts side by side.
-- What volume_request, volume_run, volume_confirm, volume_renew and volume_adopt share. volume.lua lists the keys.

-- Reserve bytes for an upload; its caller allocates and confirms it.
local function hold(who, owner, size, ticket)
  hash_put(V .. ':tickets', who, ticket)
  redis.call('ZADD', V .. ':leases', int(now() + A.lease_ms), who)
  redis.call('SADD', V .. ':granted', who)
  count_owner(owner, 1, journal_of(who))
  counter('reserved_bytes', journal_of(who))
  set_size(who, size)
end

-- Move an upload from the queue to the reservations.
local function reserve(who, size)
  local owner, ticket = owner_in(V, who), redis.call('ZSCORE', V .. ':queue', who)
  queue_serve(V, who)
  hash_drop(V .. ':requests', who)
  hold(who, owner, size, ticket)
end

-- What an upload requests, apart from its place in the queue.
local function keep_request(size)
  if A.journal_bytes and A.journal_bytes > 0 then hash_put(V .. ':journals', id, int(A.journal_bytes)) end
  if A.window_bytes then keep_window(id, {window = A.window_bytes, file = size, rest = size}) end
  counter('tickets', 1)
end

-- Put an upload into the queue that neither waits nor holds bytes.
local function enqueue(size)
  hash_put(V .. ':requests', id, int(A.window_bytes or size))
  keep_request(size)
  queue_add(V, id, A.owner, volume_field(V, 'tickets'))
end

-- Extend a lease, also one that has lapsed; never shorten it. One that has lapsed has ended before now.
local function prolong(who)
  redis.call('ZADD', V .. ':leases', 'GT', int(now() + A.lease_ms), who)
  redis.call('ZREM', V .. ':lapsed', who)
end

-- If admission has not run for a while, Redis or every process was unavailable, no lease could be renewed and no client could
-- send: extend all leases and deadlines by that time.
local function stand_still()
  local ran = number(volume_field(V, 'ran_at_ms'))
  if ran > 0 and now() - ran > A.pause_ms then
    for _, key in ipairs({V .. ':leases', V .. ':deadlines'}) do
      for _, who in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, int(now() - ran), who) end
    end
  end
  hash_put(V, 'ran_at_ms', int(now()))
end

-- Whether no upload waits, has a wish or has lapsed.
local function is_quiet() return redis.call('EXISTS', V .. ':queue', V .. ':wishes', V .. ':lapsed') == 0 end

-- Returns whether any lease has lapsed now.
local function lapse()
  local has_lapsed = false
  for _, who in ipairs(redis.call('ZRANGEBYSCORE', V .. ':leases', '-inf', int(now()))) do
    -- A reservation that is not confirmed yet does not lapse: it is returned to the caller of this run.
    if redis.call('SISMEMBER', V .. ':granted', who) == 0 then
      redis.call('ZADD', V .. ':lapsed', redis.call('ZSCORE', V .. ':leases', who), who)
      redis.call('ZREM', V .. ':leases', who)
      has_lapsed = true
    end
  end
  return has_lapsed
end

-- The bytes of a window are backed by its segments, and so are those of a file that has given some back.
-- `is_adopted`: this script has reserved them.
local function confirm(is_adopted)
  local counted = (is_adopted or redis.call('EXISTS', V .. ':windows', V .. ':taken:' .. id, V .. ':given:' .. id) > 0)
    and (window_of(id) or redis.call('EXISTS', V .. ':taken:' .. id, V .. ':given:' .. id) > 0)
  local is_first = redis.call('SREM', V .. ':granted', id) == 1
  if is_first and not counted and not is_adopted then hash_know(V .. ':backed', id, false) end -- nothing has backed any of it
  set_backed(id, counted and backed_of(id) or math.min(size_of(id), A.backed_bytes))
  if is_first then
    count_backed(journal_of(id))
    redis.call('ZADD', V .. ':leases', 'GT', int(now() + A.lease_ms), id) -- it has not lapsed
    if A.deadline_ms then redis.call('ZADD', V .. ':deadlines', 'NX', int(now() + A.deadline_ms), id) end
  end
  counter('epoch', 1)
end

-- Let reservations grow as they wish, those first that came first. Returns the room that remains; less than 0: none, until the
-- others have what they wish.
local function grant_wishes(room)
  for _, who in ipairs(redis.call('ZRANGE', V .. ':wishes', 0, -1)) do
    local need = needed(who)
    if need > 0 and need <= room then
      set_size(who, size_of(who) + need)
      local bytes = wish_of(who)
      keep_wish(who, bytes, window_of(who) and 0 or bytes)
    end
    room = room - need
  end
  return room
end

-- Whether an owner that holds so many `uploads` and `bytes` may hold its waiting upload `who`, or its first one, too. One upload
-- it always may. `size`: what it requests, of an upload that does not wait.
local function within_share(owner, uploads, bytes, who, size)
  if number(uploads) == 0 then return true end
  if A.owner_uploads and number(uploads) >= A.owner_uploads then return false end
  return not A.owner_bytes or number(bytes) + (size or requested(V, who or first_of(V, owner))) <= A.owner_bytes
end

-- The first upload of the owner whose turn it is. Owners at their share, `passed`, are passed over until the end of the run:
-- they are the first of the turns. {owner, tag, ...}
local function head_of_queue(passed)
  while true do
    local from = #passed / 2
    local turns = redis.call('ZRANGE', V .. ':turns', from, from + 31, 'WITHSCORES')
    if #turns == 0 then return nil end
    local owners = {}
    for index = 1, #turns, 2 do owners[#owners + 1] = turns[index] end
    local uploads, bytes = hash_get_all(V .. ':owner-uploads', owners), hash_get_all(V .. ':owner-bytes', owners)
    for index, owner in ipairs(owners) do
      if within_share(owner, uploads[index], bytes[index], nil) then return (first_of(V, owner)) end
      passed[#passed + 1] = owner
      passed[#passed + 1] = tonumber(turns[2 * index])
    end
  end
end

-- Admit uploads behind a head that does not fit. They count if the head could fit into an empty volume.
local function overtake(head, passed, room, could_fit)
  if room <= 0 then return end
  local passes = number(hash_get(V .. ':passes', head))
  local considered = 1
  local following = in_order(V, passed, A.lookahead)
  while considered < A.lookahead and not (could_fit and passes >= A.max_overtakes) do
    local line = following()
    if not line then return end
    local who = line.who
    if who ~= head then
      local size = requested(V, who)
      considered = considered + 1
      local owner = line.owner
      local uploads, bytes = hash_get(V .. ':owner-uploads', owner), hash_get(V .. ':owner-bytes', owner)
      if not within_share(owner, uploads, bytes, who) then
        line.closed = true
      elseif size <= room then
        reserve(who, number(hash_get(V .. ':requests', who)))
        line.left = true
        room = room - size
        if could_fit then
          passes = passes + 1
          hash_put(V .. ':passes', head, int(passes))
        end
      end
    end
  end
end

-- Admit an upload that has just come, without a place in the queue: nothing waits, and it fits. The rest is as if it had come to the
-- queue and been served. False: it has to queue. `quiet`: see is_quiet.
local function enter(room, quiet)
  local size, owner = A.window_bytes or A.size_bytes, A.owner
  local bytes = size + (A.journal_bytes or 0)
  if bytes > room or not quiet and redis.call('EXISTS', V .. ':queue') > 0 then return false end
  if A.owner_uploads or A.owner_bytes then
    local uploads, held = hash_get(V .. ':owner-uploads', owner), hash_get(V .. ':owner-bytes', owner)
    if not within_share(owner, uploads, held, id, bytes) then return false end
  end
  hash_know(V .. ':windows', id, false)
  hash_know(V .. ':journals', id, false)
  keep_request(A.size_bytes)
  hash_put(V .. ':owner', id, owner)
  queue_skip(V, id, bytes)
  hold(id, owner, size, volume_field(V, 'tickets'))
  return true
end

-- `is_new`: the upload A.upload_id neither waits nor holds bytes yet.
local function admit(is_new, quiet)
  local on_disk = A.free_bytes - A.headroom_bytes - (reserved() - backed())
  local room = math.max(0, math.min(A.budget_bytes - reserved(), on_disk))
  if not quiet then room = grant_wishes(room) end
  local is_closed = volume_field(V, 'draining') == 'all' -- what holds bytes may still grow
  if is_new then
    if not is_closed and enter(room, quiet) then return end
    enqueue(A.size_bytes)
  elseif quiet then
    return
  end
  if is_closed then return end
  local passed = {}
  local head = head_of_queue(passed)
  while head do
    advance(V, tag_of(V, head))
    local size = requested(V, head)
    -- Requested under a larger budget: it would wait forever, so it is admitted alone.
    local alone = size > A.budget_bytes and reserved() == 0 and size <= on_disk
    if size > room and not alone then break end
    reserve(head, number(hash_get(V .. ':requests', head)))
    room = room - size
    head = head_of_queue(passed)
  end
  if head then
    -- What the disk could not hold even if no upload were on it need not be waited for.
    overtake(head, #passed / 2, room, requested(V, head) <= A.free_bytes - A.headroom_bytes + backed())
  end
  pass_over(V, passed)
  redis.call('ZREMRANGEBYSCORE', V .. ':finish', '-inf', int(virtual_time(V) + 1))
end

local function run(is_new, quiet)
  stand_still()
  local has_lapsed = lapse()
  admit(is_new, quiet)
  if not volume_field(V, 'measured_at_ms') then redis.call('SADD', P .. 'volumes', A.volume) end
  hash_put(V, 'budget_bytes', int(A.budget_bytes))
  hash_put(V, 'free_bytes', int(A.free_bytes))
  hash_put(V, 'measured_at_ms', int(now()))
  hash_put(V, 'usable_bytes', int(math.max(0, A.free_bytes - A.headroom_bytes + backed())))
  local to_allocate = {}
  for _, who in ipairs(redis.call('SMEMBERS', V .. ':granted')) do
    local w = window_of(who)
    to_allocate[#to_allocate + 1] = {who, size_of(who), w and w.file or 0}
  end
  return cjson.encode({
    to_allocate = to_allocate, lapsed = (has_lapsed or not quiet) and redis.call('ZRANGE', V .. ':lapsed', 0, 99) or {},
    queue_position = id and not is_reserved(id) and queue_position(V, id) or 0,
  })
end

-- A temp file that exists already: its bytes are counted, also above the budget. Of a window, `taken` is what is on the disk.
local function adopt()
  if not redis.call('ZSCORE', V .. ':queue', id) then enqueue(A.size_bytes) end
  local size, on_disk = A.size_bytes, A.backed_bytes
  for segment, bytes in pairs(A.given) do
    size = math.max(0, size - bytes)
    redis.call('HSET', V .. ':given:' .. id, segment, int(bytes))
  end
  if A.window_bytes then
    keep_window(id, {window = A.window_bytes, file = A.size_bytes, rest = size})
    on_disk = 0
    for segment, bytes in pairs(A.taken) do
      on_disk = on_disk + bytes
      keep_taken(id, segment, bytes, true)
    end
    size = math.max(on_disk, reader_active(id) and A.window_bytes or math.min(A.window_bytes, size))
  else
    hash_drop(V .. ':windows', id)
  end
  reserve(id, size)
  set_backed(id, math.min(size, on_disk))
end
