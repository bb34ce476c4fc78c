-- Moves a content to the pending deletions, in one statement; returns nothing when there is no content $1, or
-- none of the owner $3 (null: any owner). $2: seconds of the caller's lease.
WITH gone AS (
    DELETE FROM contents WHERE id = $1 AND ($3::text IS NULL OR owner = $3) RETURNING *
)
INSERT INTO leftovers (content_id, store, container, object_key, content_type, size_bytes, segment_count, thumbnail,
                       owner, parts, due_at)
SELECT id, store, container, object_key, content_type, size_bytes,
       -- The statement's snapshot still contains the segment rows that its foreign key removes at the end.
       greatest(1, (SELECT count(*) FROM content_segments s WHERE s.content_id = gone.id)),
       thumbnail, owner,
       ARRAY(SELECT DISTINCT stored_as FROM content_segments s WHERE s.content_id = gone.id AND stored_as IS NOT NULL),
       clock_timestamp() + make_interval(secs => $2)
FROM gone
RETURNING *
