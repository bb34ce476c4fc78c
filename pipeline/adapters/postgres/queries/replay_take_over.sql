-- A content whose runner has released it, or died. $2: seconds of the lease.
UPDATE replay_contents SET runs = runs + 1, due_at = clock_timestamp() + make_interval(secs => $2)
WHERE replay_id = $1 AND content_id = (
    SELECT content_id FROM replay_contents
    WHERE replay_id = $1 AND code IS NULL AND due_at <= clock_timestamp()
    ORDER BY due_at, content_id LIMIT 1)
RETURNING content_id, runs, outcome
