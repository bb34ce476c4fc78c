WITH ended AS (
    DELETE FROM replay_contents WHERE replay_id = $1 AND content_id = $2 AND runs = $3 AND code IS NULL RETURNING replay_id
)
UPDATE replays SET changed = changed + ($4::text = 'changed')::integer, unchanged = unchanged + ($4 = 'unchanged')::integer,
                   skipped = skipped + ($4 = 'skipped')::integer, progress_at = clock_timestamp()
WHERE id IN (SELECT replay_id FROM ended)
