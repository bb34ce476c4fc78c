-- Returns the id when this call wrote the row, nothing when it was there. No conflict target: of two that insert at once,
-- the second may meet the first one's object key before it meets its id.
INSERT INTO contents (id, filename, content_type, kind, size_bytes, duration_seconds, width, height,
                      store, container, object_key, etag, thumbnail, media, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT DO NOTHING
RETURNING id
