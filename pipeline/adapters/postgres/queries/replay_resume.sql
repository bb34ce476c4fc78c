-- $2: the new rate; null: it stays. What failed is tried again by `replay_retry.sql`, which also continues a replay that is done.
UPDATE replays SET state = CASE state WHEN 'stopped' THEN 'running' ELSE state END, rate = coalesce($2, rate),
                   next_at = clock_timestamp()
WHERE id = $1
