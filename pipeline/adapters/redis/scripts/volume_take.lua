-- Take room for a segment. A: volume, upload_id, number, size_bytes, segment_bytes, reader_segments, budget_bytes. Returns {taken}.
return cjson.encode({taken = take()})
