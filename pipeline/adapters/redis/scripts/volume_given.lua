-- The segments whose room was given back. A: volume, upload_id. Returns {numbers}.
return cjson.encode({numbers = redis.call('HKEYS', V .. ':given:' .. id)})
