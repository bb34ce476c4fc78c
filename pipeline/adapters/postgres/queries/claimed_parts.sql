-- Those of the ids $1 whose segments belong to a content that was joined from partial uploads, or to its pending deletion.
-- It reads every row of content_segments, so it is asked for many ids at once.
SELECT DISTINCT stored_as AS id FROM content_segments WHERE stored_as = ANY($1::uuid[])
UNION
SELECT part FROM leftovers, unnest(parts) AS part WHERE done_at IS NULL AND part = ANY($1::uuid[])
