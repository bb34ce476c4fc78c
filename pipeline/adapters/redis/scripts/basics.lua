-- What every script begins with. Python puts these files in front of each script, after the tables MOVES, TRANSPORTS and ENDED, which
-- it writes from pipeline/core. A is the script's one argument, a JSON object; P is the key prefix. Redis' clock is the only clock:
-- only the test of the admission model passes A.now_ms.
local A = cjson.decode(ARGV[1])
local P = KEYS[1]

local function clock_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local moment -- of this run of the script

-- The time of this run, in milliseconds since 1970: the same at each call.
local function now()
  moment = moment or A.now_ms or clock_ms()
  return moment
end

-- cjson and tostring write large numbers as 1e+14, and Redis takes digits only. Adding 0 turns -0, which Redis refuses, into 0.
local function int(n) return string.format('%.0f', n + 0) end
