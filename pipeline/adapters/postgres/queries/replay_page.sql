-- The replay $1, or (null) the newest $2.
SELECT r.*, (SELECT count(*) FROM replay_contents c
             WHERE c.replay_id = r.id AND c.code IS NULL AND c.due_at > clock_timestamp()) AS in_progress
FROM replays r
WHERE $1::uuid IS NULL OR r.id = $1
ORDER BY r.created_at DESC, r.id DESC
LIMIT $2
