-- Refuse to run, before anything is written, if the user may not run every command that scripts use. Redis checks a user's
-- rights at each command and does not undo what was written before.
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
else
  -- Redis 6 cannot say what a user may run, so each command is tried on a key of its own. It checks rights before arguments:
  -- a write whose arguments are wrong proves the right and changes nothing. Those without wrong arguments are undone.
  local key = KEYS[1] .. 'probe'
  local problem
  local function try(...)
    local reply = redis.pcall(...)
    local said = type(reply) == 'table' and reply.err
    if said and (said:find("executing the script can't", 1, true) or said:find('NOPERM', 1, true)
        or said:find('nknown ', 1, true)) then
      problem = problem or reply
    end
  end
  try('DEL', key)
  if problem then return problem end
  try('GET', key)
  try('HDEL', key, 'f')
  try('HEXISTS', key, 'f')
  try('HGET', key, 'f')
  try('HGETALL', key)
  try('HINCRBY', key, 'f', 'wrong')
  try('HKEYS', key)
  try('HMGET', key, 'f')
  try('HSET', key, 'f', 'v', 'wrong')
  try('PEXPIRE', key, 'wrong')
  try('PUBLISH', KEYS[1] .. 'changed', '')
  try('PUBLISH', KEYS[1] .. 'wake', '')
  try('SCARD', key)
  try('SET', key, 'v', 'wrong')
  try('SISMEMBER', key, 'm')
  try('SMEMBERS', key)
  try('SREM', key, 'm')
  try('TIME')
  try('XADD', key, 'wrong', 'f', 'v')
  try('ZADD', key, 'wrong', 'm')
  try('ZCARD', key)
  try('ZINCRBY', key, 'wrong', 'm')
  try('ZRANGE', key, 0, 0)
  try('ZRANGEBYSCORE', key, 0, 0)
  try('ZRANK', key, 'm')
  try('ZREM', key, 'm')
  try('ZREVRANGEBYSCORE', key, 0, 0)
  try('ZSCORE', key, 'm')
  try('HSETNX', key, 'f', 'v')
  redis.pcall('DEL', key)
  try('SADD', key, 'm')
  redis.pcall('DEL', key)
  if problem then return problem end
end
