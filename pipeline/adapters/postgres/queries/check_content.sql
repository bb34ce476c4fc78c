-- A content that its caller rolls back, to find out whether contents can be written.
INSERT INTO contents (id, filename, content_type, kind, size_bytes, store, container, object_key, etag, media, metadata)
VALUES ($1, 'check', 'video/mp4', 'video', 0, '', '', $1::uuid::text, '', '{}', '{}')
