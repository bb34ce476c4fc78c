UPDATE replay_contents r SET due_at = clock_timestamp() + make_interval(secs => $4)
FROM unnest($2::uuid[], $3::integer[]) AS mine (content_id, runs)
WHERE r.replay_id = $1 AND r.content_id = mine.content_id AND r.runs = mine.runs AND r.code IS NULL
