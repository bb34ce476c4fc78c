-- A content becomes a leftover, in one statement; nothing when there is no such content. $2: the caller's lease, seconds.
WITH gone AS (
    DELETE FROM contents WHERE id = $1 RETURNING *
)
INSERT INTO leftovers (content_id, store, container, object_key, content_type, size_bytes, segment_count, thumbnail,
                       due_at)
SELECT id, store, container, object_key, content_type, size_bytes,
       -- The statement's snapshot still has the rows that the foreign key removes at its end.
       greatest(1, (SELECT count(*) FROM content_segments s WHERE s.content_id = gone.id)),
       thumbnail, clock_timestamp() + make_interval(secs => $2)
FROM gone
RETURNING *
