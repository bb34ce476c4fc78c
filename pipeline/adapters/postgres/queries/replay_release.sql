UPDATE replay_contents SET due_at = clock_timestamp()
WHERE replay_id = $1 AND content_id = $2 AND runs = $3 AND code IS NULL
