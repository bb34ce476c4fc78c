-- Give back the room of segments. A: volume, upload_id, segments ({number: bytes}), stored (they leave the reservation). Returns {}.
give()
return cjson.encode({})
