-- Those of the ids $1 that are contents or pending deletions. One statement: a content moves from one to the other in one.
SELECT id FROM contents WHERE id = ANY($1::uuid[])
UNION
SELECT content_id FROM leftovers WHERE content_id = ANY($1::uuid[]) AND done_at IS NULL
