INSERT INTO replay_contents (replay_id, content_id, due_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
