-- Processes of the release before owners may change a volume during a rolling upgrade. They do not update the keys of owners. What
-- they admit, confirm or release changes the counters of the volume, so it is noticed by the next script (knows_owners). An upload that
-- they take out of the queue is noticed by the next run of admission.

-- Whether the keys of owners agree with the queue and the reservations.
local function owners_agree()
  local holding = redis.call('HLEN', V .. ':reservations')
  return redis.call('HLEN', V .. ':places') == holding
    and redis.call('HLEN', V .. ':owner') == holding + redis.call('ZCARD', V .. ':queue')
end

-- Write them again. An upload without a known owner belongs to `default`, as its record says.
local function restore_owners()
  for _, owner in ipairs(redis.call('ZRANGE', V .. ':turns', 0, -1)) do redis.call('DEL', line_of(V, owner)) end
  for _, key in ipairs({':turns', ':debts', ':finish', ':owner-bytes', ':owner-uploads'}) do redis.call('DEL', V .. key) end
  local known = {}
  local waiting = redis.call('ZRANGE', V .. ':queue', 0, -1, 'WITHSCORES')
  for index = 1, #waiting, 2 do
    known[waiting[index]] = true
    queue_add(V, waiting[index], owner_in(V, waiting[index]), waiting[index + 1])
    hash_put(V .. ':places', waiting[index], false)
  end
  local held = redis.call('HGETALL', V .. ':reservations')
  for index = 1, #held, 2 do
    local who = held[index]
    known[who] = true
    hash_put(V .. ':owner', who, owner_in(V, who))
    if not hash_get(V .. ':places', who) then hash_put(V .. ':places', who, '-1 0') end -- before all others
    count_owner(owner_in(V, who), 1, tonumber(held[index + 1]) + journal_of(who))
  end
  for _, key in ipairs({':owner', ':places', ':journals'}) do
    for _, who in ipairs(redis.call('HKEYS', V .. key)) do
      if not known[who] then hash_put(V .. key, who, false) end
    end
  end
end

local function compare_owners()
  knows_owners()
  if not owners_agree() then restore_owners() end
  owners_known = true
end
