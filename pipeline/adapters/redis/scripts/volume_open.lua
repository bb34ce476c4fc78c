-- Open a volume: Redis knows every upload on it. A: volume, run (of the server). Returns {}.
redis.call('HSETNX', V, 'opened_at_ms', int(now()))
redis.call('HSET', V, 'followed_run', A.run)
return cjson.encode({})
