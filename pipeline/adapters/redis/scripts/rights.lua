-- Refuse to run, before anything is written, if the user may not run every command that scripts use. Redis checks a user's
-- rights at each command and does not undo what was written before. Redis 6 lacks the check: see server_probe.
-- Python puts this file in front of each script; a test compares its commands with those of the scripts.
if redis.acl_check_cmd then
  local key = KEYS[1] .. 'probe'
  local function may(...)
    if not redis.acl_check_cmd(...) then
      error(redis.error_reply('NOPERM the user may not run ' .. table.concat({...}, ' ')))
    end
  end
  may('DEL', key)
  may('GET', key)
  may('HDEL', key, 'f')
  may('HEXISTS', key, 'f')
  may('HGET', key, 'f')
  may('HGETALL', key)
  may('HINCRBY', key, 'f', 1)
  may('HKEYS', key)
  may('HMGET', key, 'f')
  may('HSET', key, 'f', 'v')
  may('HSETNX', key, 'f', 'v')
  may('PEXPIRE', key, 1)
  may('PUBLISH', KEYS[1] .. 'changed', '')
  may('PUBLISH', KEYS[1] .. 'wake', '')
  may('SADD', key, 'm')
  may('SCARD', key)
  may('SET', key, 'v')
  may('SISMEMBER', key, 'm')
  may('SMEMBERS', key)
  may('SREM', key, 'm')
  may('TIME')
  may('XADD', key, '*', 'f', 'v')
  may('ZADD', key, 1, 'm')
  may('ZCARD', key)
  may('ZINCRBY', key, 1, 'm')
  may('ZRANGE', key, 0, 0)
  may('ZRANGEBYSCORE', key, 0, 0)
  may('ZRANK', key, 'm')
  may('ZREM', key, 'm')
  may('ZREVRANGEBYSCORE', key, 0, 0)
  may('ZSCORE', key, 'm')
end
