-- The queue of a temp volume, by the rules of pipeline/core/fair_queue.py. Every function takes the key of the volume, `v`.
--
--   v:queue          zset id -> number of its request: uploads that wait, in the order of their requests
--   v:queue:<owner>  zset id -> offset in virtual time: the uploads of one owner that wait
--   v:turns          zset id -> tag, of the first upload of each owner
--   v:debts          hash owner -> cost of uploads that overtook their owner's first one
--   v:finish         zset owner -> earliest tag of the next upload of an owner that has none in the queue
--   v:owner          hash id -> owner, of uploads that wait or hold bytes;  v:places  hash id -> 'offset tag' of those that hold
--   v:requests       hash id -> bytes that a waiting upload requests;  v:journals  hash id -> bytes of its journal, if any
--   v                hash: virtual
local BLOCK_BYTES = 4096

local function as_number(value) return tonumber(value or '0') end

local function owner_in(v, who) return redis.call('HGET', v .. ':owner', who) or 'default' end
local function line_of(v, owner) return v .. ':queue:' .. owner end

-- What a waiting upload requests, with its journal.
local function requested(v, who)
  return as_number(redis.call('HGET', v .. ':requests', who)) + as_number(redis.call('HGET', v .. ':journals', who))
end

-- In half blocks.
local function cost(bytes) return 2 * math.ceil(bytes / BLOCK_BYTES) end

local function virtual_time(v) return as_number(redis.call('HGET', v, 'virtual')) end

local function advance(v, tag)
  if tag > virtual_time(v) then redis.call('HSET', v, 'virtual', int(tag)) end
end

-- The id, the tag and the offset of an owner's first upload; nil: none of its uploads waits.
local function first_of(v, owner)
  local first = redis.call('ZRANGE', line_of(v, owner), 0, 0, 'WITHSCORES')
  if not first[1] then return nil end
  return first[1], as_number(redis.call('ZSCORE', v .. ':turns', first[1])), tonumber(first[2])
end

local function tag_of(v, who)
  local owner = owner_in(v, who)
  local _, tag, offset = first_of(v, owner)
  return tag + tonumber(redis.call('ZSCORE', line_of(v, owner), who)) - offset
end

local function queue_add(v, who, owner)
  redis.call('HSET', v .. ':owner', who, owner)
  redis.call('ZADD', v .. ':queue', redis.call('HINCRBY', v, 'tickets', 1), who)
  local last = redis.call('ZRANGE', line_of(v, owner), -1, -1, 'WITHSCORES')
  if last[1] then
    redis.call('ZADD', line_of(v, owner), int(tonumber(last[2]) + cost(requested(v, last[1]))), who)
    return
  end
  local tag = math.max(virtual_time(v) + 1, as_number(redis.call('ZSCORE', v .. ':finish', owner)))
  redis.call('ZREM', v .. ':finish', owner)
  redis.call('ZADD', line_of(v, owner), 0, who)
  redis.call('ZADD', v .. ':turns', int(tag), who)
end

-- An owner has no upload in the queue any more. When nobody has, everybody begins anew.
local function leave(v, owner, following)
  redis.call('HDEL', v .. ':debts', owner)
  redis.call('ZADD', v .. ':finish', int(following), owner)
  if redis.call('ZCARD', v .. ':turns') > 0 then return end
  advance(v, tonumber(redis.call('ZRANGE', v .. ':finish', -1, -1, 'WITHSCORES')[2]))
  redis.call('DEL', v .. ':finish')
end

-- The first upload of an owner has left the queue: the next one takes its turn at `tag`.
local function next_turn(v, owner, tag)
  local following = redis.call('ZRANGE', line_of(v, owner), 0, 0)[1]
  if following then redis.call('ZADD', v .. ':turns', int(tag), following) else leave(v, owner, tag) end
end

-- Take an upload out of the queue because it is admitted.
local function queue_serve(v, who)
  local owner = owner_in(v, who)
  local first, tag = first_of(v, owner)
  local start, price = tag_of(v, who), cost(requested(v, who))
  redis.call('HSET', v .. ':places', who, redis.call('ZSCORE', line_of(v, owner), who) .. ' ' .. int(start))
  redis.call('ZREM', v .. ':queue', who)
  redis.call('ZREM', line_of(v, owner), who)
  if who ~= first then
    redis.call('HINCRBY', v .. ':debts', owner, int(price))
    return
  end
  local debt = as_number(redis.call('HGET', v .. ':debts', owner))
  redis.call('HDEL', v .. ':debts', owner)
  redis.call('ZREM', v .. ':turns', who)
  next_turn(v, owner, tag + price + debt)
end

-- Take an upload out of the queue that will not be admitted.
local function queue_cancel(v, who)
  local owner = owner_in(v, who)
  local first, tag = first_of(v, owner)
  redis.call('ZREM', v .. ':queue', who)
  redis.call('ZREM', line_of(v, owner), who)
  if who ~= first then return end
  redis.call('ZREM', v .. ':turns', who)
  local last = redis.call('EXISTS', line_of(v, owner)) == 0
  next_turn(v, owner, tag + (last and as_number(redis.call('HGET', v .. ':debts', owner)) or 0))
end

-- Return an upload that was served to its old place. `ticket`: the number of its request.
local function queue_put_back(v, who, owner, place, ticket)
  local offset, start = string.match(place, '^(%S+) (%S+)$')
  local first, _, first_offset = first_of(v, owner)
  redis.call('HSET', v .. ':owner', who, owner)
  redis.call('ZADD', v .. ':queue', ticket, who)
  redis.call('ZADD', line_of(v, owner), offset, who)
  if first and tonumber(offset) > first_offset then
    local debt = as_number(redis.call('HGET', v .. ':debts', owner)) - cost(requested(v, who))
    if debt > 0 then redis.call('HSET', v .. ':debts', owner, int(debt)) else redis.call('HDEL', v .. ':debts', owner) end
    return
  end
  redis.call('ZREM', v .. ':finish', owner)
  if first then redis.call('ZREM', v .. ':turns', first) end
  redis.call('ZADD', v .. ':turns', start, who)
end

-- The owner of `who`, its first upload, is at its limit: it saves nothing up for later.
local function pass_over(v, who)
  local tag = tonumber(redis.call('ZSCORE', v .. ':turns', who))
  redis.call('ZADD', v .. ':turns', int(math.max(tag, virtual_time(v) + 1)), who)
end

-- Returns a function that returns one waiting upload after the other, in the order in which they would be served if everything
-- fitted; nil at the end. Its argument says whether the upload that it returned before has left the queue.
local function in_order(v)
  local turns = redis.call('ZRANGE', v .. ':turns', 0, -1, 'WITHSCORES')
  local unopened, lines, latest = 1, {}, nil
  local function before(a, b) return a.tag < b.tag or a.tag == b.tag and a.who < b.who end
  local function first_line()
    local best
    for _, line in ipairs(lines) do
      if line.who and (not best or before(line, best)) then best = line end
    end
    return best
  end
  return function(has_left)
    if latest then
      if not has_left then latest.rank = latest.rank + 1 end
      local following = redis.call('ZRANGE', latest.key, latest.rank, latest.rank, 'WITHSCORES')
      latest.who, latest.tag = following[1], following[1] and latest.base + tonumber(following[2])
    end
    latest = first_line()
    while turns[unopened] do
      local opened = {who = turns[unopened], tag = tonumber(turns[unopened + 1]), rank = 0}
      if latest and not before(opened, latest) then break end
      unopened = unopened + 2
      opened.key = line_of(v, owner_in(v, opened.who))
      opened.base = opened.tag - tonumber(redis.call('ZSCORE', opened.key, opened.who))
      lines[#lines + 1] = opened
      latest = opened
    end
    return latest and latest.who
  end
end

-- How many uploads are served before `who`, and itself. Of more than OWNERS owners, each of the rest counts as one.
local OWNERS = 1000
local function queue_position(v, who)
  local owner = owner_in(v, who)
  local rank = redis.call('ZRANK', line_of(v, owner), who)
  if not rank then return 0 end
  local tag = tag_of(v, who)
  local count = rank + 1
  local firsts = redis.call('ZRANGEBYSCORE', v .. ':turns', '-inf', int(tag), 'WITHSCORES')
  for index = 1, #firsts, 2 do
    local first, first_tag = firsts[index], tonumber(firsts[index + 1])
    local other = owner_in(v, first)
    if index > 2 * OWNERS then
      count = count + (other ~= owner and 1 or 0)
    elseif other ~= owner then
      local key = line_of(v, other)
      local limit = int(tag - first_tag + tonumber(redis.call('ZSCORE', key, first)))
      count = count + redis.call('ZCOUNT', key, '-inf', '(' .. limit)
      local tied = redis.call('ZRANGEBYSCORE', key, limit, limit)[1]
      if tied and tied < who then count = count + 1 end
    end
  end
  return count
end
