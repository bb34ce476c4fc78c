SELECT content_id, code, reason FROM replay_contents
WHERE replay_id = $1 AND code IS NOT NULL
ORDER BY content_id
LIMIT $2
