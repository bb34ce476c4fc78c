-- Refuse to run, before anything is written, if the user may not run every command that the script uses. Redis checks a user's
-- rights at each command and does not undo what was written before.
-- Python puts this file in front of each script that writes, without the lines for commands that it does not use.
if redis.acl_check_cmd then
  local key = KEYS[1] .. 'probe'
  local function may(...)
    if not redis.acl_check_cmd(...) then
      error(redis.error_reply('NOPERM the user may not run ' .. table.concat({...}, ' ')))
    end
  end
  may('DEL', key)
  may('EXISTS', key)
  may('GET', key)
  may('HDEL', key, 'f')
  may('HEXISTS', key, 'f')
  may('HGET', key, 'f')
  may('HGETALL', key)
  may('HINCRBY', key, 'f', 1)
  may('HKEYS', key)
  may('HLEN', key)
  may('HMGET', key, 'f')
  may('HSET', key, 'f', 'v')
  may('HSETNX', key, 'f', 'v')
  may('INCRBY', key, 1)
  may('PEXPIRE', key, 1)
  may('PUBLISH', KEYS[1] .. 'changed:probe', '')
  may('PUBLISH', KEYS[1] .. 'wake:probe', '')
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
  may('ZCOUNT', key, 0, 0)
  may('ZINCRBY', key, 1, 'm')
  may('ZRANGE', key, 0, 0)
  may('ZRANGEBYSCORE', key, 0, 0)
  may('ZRANK', key, 'm')
  may('ZREM', key, 'm')
  may('ZREMRANGEBYSCORE', key, 0, 0)
  may('ZREVRANGEBYSCORE', key, 0, 0)
  may('ZSCORE', key, 'm')
else
  -- Redis 6 cannot say what a user may run, so each command is tried on a key of its own. It checks rights before arguments:
  -- a write whose arguments are wrong proves the right and changes nothing. Those without wrong arguments are undone.
  local key = KEYS[1] .. 'probe'
  local problem, out_of_memory
  local function try(...)
    local reply = redis.pcall(...)
    local said = type(reply) == 'table' and reply.err
    if not said then return end
    if said:find("executing the script can't", 1, true) or said:find('NOPERM', 1, true) or said:find('nknown ', 1, true) then
      problem = problem or reply
    end
    out_of_memory = out_of_memory or said:find('OOM', 1, true)
  end
  local function try_and_undo(...)
    try(...)
    redis.pcall('DEL', key)
  end
  try('XADD', key, 'wrong', 'f', 'v')
  try('HINCRBY', key, 'f', 'wrong')
  try('HSET', key, 'f', 'v', 'wrong')
  try('INCRBY', key, 'wrong')
  try('SET', key, 'v', 'wrong')
  try('ZADD', key, 'wrong', 'm')
  try('ZINCRBY', key, 'wrong', 'm')
  try('EXISTS', key)
  try('GET', key)
  try('HEXISTS', key, 'f')
  try('HGET', key, 'f')
  try('HGETALL', key)
  try('HKEYS', key)
  try('HLEN', key)
  try('HMGET', key, 'f')
  -- Nobody listens to these two channels.
  try('PUBLISH', KEYS[1] .. 'changed:probe', '')
  try('PUBLISH', KEYS[1] .. 'wake:probe', '')
  try('SCARD', key)
  try('SISMEMBER', key, 'm')
  try('SMEMBERS', key)
  try('TIME')
  try('ZCARD', key)
  try('ZCOUNT', key, 0, 0)
  try('ZRANGE', key, 0, 0)
  try('ZRANGEBYSCORE', key, 0, 0)
  try('ZRANK', key, 'm')
  try('ZREVRANGEBYSCORE', key, 0, 0)
  try('ZSCORE', key, 'm')
  -- Without memory, a write that frees some would let the script write whatever follows it.
  if not out_of_memory and not problem then
    try('DEL', key)
    try('HDEL', key, 'f')
    try('PEXPIRE', key, 'wrong')
    try('SREM', key, 'm')
    try('ZREM', key, 'm')
    try('ZREMRANGEBYSCORE', key, 'wrong', 0)
    if problem then return problem end
    try_and_undo('HSETNX', key, 'f', 'v')
    try_and_undo('SADD', key, 'm')
  end
  if problem then return problem end
end
