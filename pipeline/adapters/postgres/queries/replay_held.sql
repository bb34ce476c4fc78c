SELECT outcome, store, keys FROM replay_contents
WHERE replay_id = $1 AND content_id = $2 AND runs = $3 AND code IS NULL
