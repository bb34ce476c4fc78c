SELECT c.*, (SELECT count(*) FROM content_segments s WHERE s.content_id = c.id) AS segment_count
FROM contents c
WHERE c.id = $1
