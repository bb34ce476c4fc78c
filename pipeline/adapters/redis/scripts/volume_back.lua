-- Record that the disk has allocated the bytes of a segment that was taken. A: volume, upload_id, number. Returns {}.
back()
return cjson.encode({})
