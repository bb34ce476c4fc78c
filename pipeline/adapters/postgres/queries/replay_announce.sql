UPDATE replay_contents SET store = $4, keys = keys || $5::text[]
WHERE replay_id = $1 AND content_id = $2 AND runs = $3 AND code IS NULL
