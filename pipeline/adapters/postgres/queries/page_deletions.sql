-- What is left, newest first, from just before ($1 time, $2 id).
SELECT * FROM leftovers
WHERE done_at IS NULL AND ($1::timestamptz IS NULL OR (deleted_at, content_id) < ($1, $2::uuid))
ORDER BY deleted_at DESC, content_id DESC
LIMIT $3
