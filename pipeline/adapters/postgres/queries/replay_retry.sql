WITH again AS (
    UPDATE replay_contents SET code = NULL, reason = NULL, due_at = clock_timestamp()
    WHERE replay_id = $1 AND code IS NOT NULL
    RETURNING content_id
)
UPDATE replays SET state = 'running', finished_at = NULL, failed = failed - (SELECT count(*) FROM again)
WHERE id = $1 AND EXISTS (SELECT FROM again)
