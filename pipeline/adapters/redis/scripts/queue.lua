-- The queue of a temp volume, by the rules of pipeline/core/fair_queue.py. Every function takes the key of the volume, `v`.
--
--   v:queue          zset id -> number of its request: uploads that wait, in the order of their requests
--   v:queue:<owner>  zset id -> offset in virtual time: the uploads of one owner that wait
--   v:turns          zset owner -> tag of its first upload
--   v:debts          hash owner -> cost of later uploads that are served already
--   v:finish         zset owner -> earliest tag of the next upload of an owner that has none in the queue
--   v:owner          hash id -> owner, of uploads that wait or hold bytes;  v:places  hash id -> 'offset tag' of those that hold
--   v:requests       hash id -> bytes that a waiting upload requests;  v:journals  hash id -> bytes of its journal, if any
--   v                hash: virtual, queue_end
local BLOCK_BYTES = 4096

local function as_number(value) return tonumber(value or '0') end

local function owner_in(v, who) return hash_get(v .. ':owner', who) or 'default' end
local function line_of(v, owner) return v .. ':queue:' .. owner end

-- What a waiting upload requests, with its journal.
local function requested(v, who)
  return as_number(hash_get(v .. ':requests', who)) + as_number(hash_get(v .. ':journals', who))
end

-- In half blocks.
local function cost(bytes) return 2 * math.ceil(bytes / BLOCK_BYTES) end

local function virtual_time(v) return as_number(volume_field(v, 'virtual')) end

local function advance(v, tag)
  if tag > virtual_time(v) then hash_put(v, 'virtual', int(tag)) end
end

-- The id and the offset of an owner's first upload; nil: none of its uploads waits.
local function first_of(v, owner)
  local first = redis.call('ZRANGE', line_of(v, owner), 0, 0, 'WITHSCORES')
  return first[1], tonumber(first[2])
end

local function turn_of(v, owner) return tonumber(redis.call('ZSCORE', v .. ':turns', owner)) end
local function debt_of(v, owner) return as_number(hash_get(v .. ':debts', owner)) end

local function keep_debt(v, owner, debt)
  if debt > 0 then hash_put(v .. ':debts', owner, int(debt)) else hash_drop(v .. ':debts', owner) end
end

local function tag_of(v, who)
  local owner = owner_in(v, who)
  local _, offset = first_of(v, owner)
  return turn_of(v, owner) + tonumber(redis.call('ZSCORE', line_of(v, owner), who)) - offset
end

local function queue_add(v, who, owner, ticket)
  hash_put(v .. ':owner', who, owner)
  redis.call('ZADD', v .. ':queue', int(ticket), who)
  local last = redis.call('ZRANGE', line_of(v, owner), -1, -1, 'WITHSCORES')
  local furthest = as_number(volume_field(v, 'queue_end'))
  local offset = furthest
  if last[1] then
    offset = tonumber(last[2]) + cost(requested(v, last[1]))
  else
    local tag = math.max(virtual_time(v) + 1, as_number(redis.call('ZSCORE', v .. ':finish', owner)))
    redis.call('ZREM', v .. ':finish', owner)
    redis.call('ZADD', v .. ':turns', int(tag), owner)
  end
  redis.call('ZADD', line_of(v, owner), int(offset), who)
  hash_put(v, 'queue_end', int(math.max(furthest, offset + cost(requested(v, who)))))
end

-- If an owner has no upload in the queue any more, note the earliest tag of its next one. When the queue is empty, forget all
-- of these.
local function leave_if_empty(v, owner, following)
  if redis.call('ZCARD', line_of(v, owner)) > 0 then return false end
  redis.call('ZREM', v .. ':turns', owner)
  hash_drop(v .. ':debts', owner)
  redis.call('ZADD', v .. ':finish', int(following), owner)
  if redis.call('ZCARD', v .. ':turns') == 0 then
    advance(v, tonumber(redis.call('ZRANGE', v .. ':finish', -1, -1, 'WITHSCORES')[2]))
    redis.call('DEL', v .. ':finish')
  end
  return true
end

-- Take an upload out of the queue because it is admitted.
local function queue_serve(v, who)
  local owner = owner_in(v, who)
  local first, first_offset = first_of(v, owner)
  local tag, price = turn_of(v, owner), cost(requested(v, who))
  local offset = tonumber(redis.call('ZSCORE', line_of(v, owner), who))
  hash_put(v .. ':places', who, int(offset) .. ' ' .. int(tag + offset - first_offset))
  redis.call('ZREM', v .. ':queue', who)
  redis.call('ZREM', line_of(v, owner), who)
  if who ~= first then
    hash_add(v .. ':debts', owner, price)
    return
  end
  local following = tag + price + debt_of(v, owner)
  if leave_if_empty(v, owner, following) then return end
  hash_drop(v .. ':debts', owner)
  redis.call('ZADD', v .. ':turns', int(following), owner)
end

-- An upload of `bytes` is admitted as if it came to an empty queue: queue_add, advance and queue_serve.
local function queue_skip(v, who, bytes)
  local furthest, tag = as_number(volume_field(v, 'queue_end')), virtual_time(v) + 1
  hash_put(v .. ':places', who, int(furthest) .. ' ' .. int(tag))
  hash_put(v, 'queue_end', int(furthest + cost(bytes)))
  hash_put(v, 'virtual', int(tag + cost(bytes)))
end

-- Take an upload out of the queue that will not be admitted.
local function queue_cancel(v, who)
  local owner = owner_in(v, who)
  redis.call('ZREM', v .. ':queue', who)
  redis.call('ZREM', line_of(v, owner), who)
  leave_if_empty(v, owner, turn_of(v, owner) + debt_of(v, owner))
end

-- Return an upload that was served to its old place. `ticket`: the number of its request.
local function queue_put_back(v, who, owner, place, ticket)
  local offset, start = string.match(place, '^(%S+) (%S+)$')
  local first, first_offset = first_of(v, owner)
  local price, debt = cost(requested(v, who)), debt_of(v, owner)
  hash_put(v .. ':owner', who, owner)
  redis.call('ZADD', v .. ':queue', ticket, who)
  redis.call('ZADD', line_of(v, owner), offset, who)
  if first and tonumber(offset) > first_offset then
    keep_debt(v, owner, debt - price)
    return
  end
  local following = first and turn_of(v, owner) + debt
    or tonumber(redis.call('ZSCORE', v .. ':finish', owner) or virtual_time(v) + 1)
  redis.call('ZREM', v .. ':finish', owner)
  redis.call('ZADD', v .. ':turns', start, owner)
  keep_debt(v, owner, following - price - tonumber(start))
end

-- These owners, {owner, tag, ...}, are at their limit and skipped: this gives them no earlier turns later.
local function pass_over(v, owners)
  local earliest, lifted = virtual_time(v) + 1, {}
  for index = 1, #owners, 2 do
    if owners[index + 1] < earliest then
      lifted[#lifted + 1] = int(earliest)
      lifted[#lifted + 1] = owners[index]
    end
    if #lifted == 64 or index == #owners - 1 and #lifted > 0 then
      redis.call('ZADD', v .. ':turns', unpack(lifted))
      lifted = {}
    end
  end
end

-- Whether owner `a` comes before owner `b` at equal tags: the order of members in a sorted set, whatever the locale.
local function comes_before(a, b)
  for index = 1, math.min(#a, #b) do
    local x, y = string.byte(a, index, index), string.byte(b, index, index)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Returns a function that returns one waiting upload after the other, {who, owner}, in the order in which they would be served if
-- everything fitted; nil at the end. The caller sets `left` when that upload has left the queue, and `closed` to get no more of
-- its owner. Only owners from rank `from` of the turns are considered, `count` of them.
local function in_order(v, from, count)
  local turns = redis.call('ZRANGE', v .. ':turns', from, from + count - 1, 'WITHSCORES')
  local unopened, lines, latest = 1, {}, nil
  local names, places = {}, {}
  for index = 1, #turns, 2 do names[#names + 1] = turns[index] end
  table.sort(names, comes_before)
  for place, name in ipairs(names) do places[name] = place end
  local function before(a, b) return a.tag < b.tag or a.tag == b.tag and places[a.owner] < places[b.owner] end
  local function move_on(line)
    if line.closed then
      line.who = nil
      return
    end
    if not line.left then line.rank = line.rank + 1 end
    local following = redis.call('ZRANGE', line.key, line.rank, line.rank, 'WITHSCORES')
    line.who, line.tag, line.left = following[1], following[1] and line.base + tonumber(following[2]), nil
  end
  return function()
    if latest then move_on(latest) end
    latest = nil
    for _, line in ipairs(lines) do
      if line.who and (not latest or before(line, latest)) then latest = line end
    end
    if turns[unopened] then
      local line = {owner = turns[unopened], tag = tonumber(turns[unopened + 1]), rank = 0}
      if not latest or before(line, latest) then
        unopened = unopened + 2
        line.key = line_of(v, line.owner)
        local first, offset = first_of(v, line.owner)
        line.who, line.base = first, line.tag - offset
        lines[#lines + 1] = line
        latest = line
      end
    end
    return latest
  end
end

-- The position of an upload in the queue, from 1; 0: it does not wait. Of more than OWNERS owners, the uploads of the rest are
-- estimated, so that a position takes the same time in every queue.
local OWNERS = 32
local leading = {} -- of a volume, the owners whose turn is first; read once in each run of a script, after its last change

local function leading_of(v)
  if leading[v] then return leading[v] end
  local turns, found = redis.call('ZRANGE', v .. ':turns', 0, OWNERS - 1, 'WITHSCORES'), {}
  for index = 1, #turns, 2 do
    local tag = tonumber(turns[index + 1])
    local _, offset = first_of(v, turns[index])
    found[#found + 1] = {owner = turns[index], tag = tag, base = tag - offset}
  end
  leading[v] = found
  return found
end

local function queue_position(v, who)
  local owner = owner_in(v, who)
  local rank = redis.call('ZRANK', line_of(v, owner), who)
  if not rank then return 0 end
  local tag, seen, count = tag_of(v, who), 0, 0
  for _, other in ipairs(leading_of(v)) do
    if other.owner ~= owner and other.tag <= tag then
      local bound = int(tag - other.base)
      seen = seen + 1
      count = count + redis.call('ZCOUNT', line_of(v, other.owner), '-inf',
        comes_before(other.owner, owner) and bound or '(' .. bound)
    end
  end
  local others = redis.call('ZCOUNT', v .. ':turns', '-inf', int(tag)) - 1
  if seen > 0 and others > seen then count = math.floor(count * others / seen) end
  return rank + 1 + count
end

-- {queue_position, lease_until_ms?}, or nil: the upload neither waits nor holds bytes.
local function standing_of(v, who)
  local position = queue_position(v, who)
  if position > 0 then return {queue_position = position} end
  local until_ms = redis.call('ZSCORE', v .. ':leases', who) or redis.call('ZSCORE', v .. ':lapsed', who)
  return until_ms and {queue_position = 0, lease_until_ms = tonumber(until_ms)} or nil
end
