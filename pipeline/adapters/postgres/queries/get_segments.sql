SELECT number, size_bytes, etag, stored_as, stored_number, crc32c FROM content_segments WHERE content_id = $1 ORDER BY number
