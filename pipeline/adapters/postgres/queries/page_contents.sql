-- Contents before the position ($2 created_at, $3 id), newest first; $1 filters by kind.
SELECT c.*, (SELECT count(*) FROM content_segments s WHERE s.content_id = c.id) AS segment_count
FROM contents c
WHERE ($1::text IS NULL OR c.kind = $1)
  AND ($2::timestamptz IS NULL OR (c.created_at, c.id) < ($2, $3::uuid))
ORDER BY c.created_at DESC, c.id DESC
LIMIT $4
