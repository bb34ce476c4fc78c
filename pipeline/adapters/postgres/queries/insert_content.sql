-- Returns the id if this statement inserted the row, nothing if it existed. There is no conflict target, because the second
-- of two concurrent inserts may conflict with the first one's object key before it conflicts with its id.
INSERT INTO contents (id, filename, content_type, kind, size_bytes, duration_seconds, width, height,
                      store, container, object_key, etag, thumbnail, media, metadata, owner, crc32c)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT DO NOTHING
RETURNING id
