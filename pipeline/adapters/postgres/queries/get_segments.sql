SELECT number, size_bytes, etag FROM content_segments WHERE content_id = $1 ORDER BY number
