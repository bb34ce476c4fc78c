-- Where an upload stands. A: volume, upload_id. Returns {standing?}: see standing_of (queue.lua).
return cjson.encode({standing = standing_of(V, id)})
