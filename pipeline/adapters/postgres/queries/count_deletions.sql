-- How many pending deletions there are, at most $1, and for how many seconds the oldest is one. Both read an index only.
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM leftovers WHERE done_at IS NULL LIMIT $1) AS counted) AS pending,
    coalesce(
        (SELECT extract(epoch FROM clock_timestamp() - min(deleted_at)) FROM leftovers WHERE done_at IS NULL), 0
    ) AS oldest_seconds
