-- Claims up to $1 due deletions for $2 seconds. Concurrent callers never receive the same row.
UPDATE leftovers SET due_at = clock_timestamp() + make_interval(secs => $2)
WHERE content_id IN (
    SELECT content_id FROM leftovers
    WHERE done_at IS NULL AND due_at <= clock_timestamp()
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
RETURNING *
