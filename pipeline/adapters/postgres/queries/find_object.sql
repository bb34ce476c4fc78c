SELECT c.*, (SELECT count(*) FROM content_segments s WHERE s.content_id = c.id) AS segment_count
FROM contents c
WHERE c.store = $1 AND c.container = $2 AND c.object_key = $3 AND c.etag = $4
