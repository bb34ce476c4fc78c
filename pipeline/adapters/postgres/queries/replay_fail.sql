-- The announced thumbnails stay recorded: some may not be removed yet.
WITH ended AS (
    UPDATE replay_contents SET code = $4, reason = $5
    WHERE replay_id = $1 AND content_id = $2 AND runs = $3 AND code IS NULL RETURNING replay_id
)
UPDATE replays SET failed = failed + 1, progress_at = clock_timestamp() WHERE id IN (SELECT replay_id FROM ended)
