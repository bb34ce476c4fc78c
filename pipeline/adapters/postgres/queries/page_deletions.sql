-- Pending deletions before the position ($1 deleted_at, $2 content_id), newest first.
SELECT * FROM leftovers
WHERE done_at IS NULL AND ($1::timestamptz IS NULL OR (deleted_at, content_id) < ($1, $2::uuid))
ORDER BY deleted_at DESC, content_id DESC
LIMIT $3
