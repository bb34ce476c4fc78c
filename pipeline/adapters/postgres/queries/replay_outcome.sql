UPDATE replay_contents SET outcome = $4 WHERE replay_id = $1 AND content_id = $2 AND runs = $3
