-- Up to $1 leftovers that are due, under a lease of $2 seconds; many may ask at once, none gets what another has.
UPDATE leftovers SET due_at = clock_timestamp() + make_interval(secs => $2)
WHERE content_id IN (
    SELECT content_id FROM leftovers
    WHERE done_at IS NULL AND due_at <= clock_timestamp()
    ORDER BY due_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
RETURNING *
