-- Records a failed attempt ($2 code, $3 message); the deletion is due again after $4 seconds.
UPDATE leftovers
SET attempts = attempts + 1, last_code = $2, last_error = $3, due_at = clock_timestamp() + make_interval(secs => $4)
WHERE content_id = $1 AND done_at IS NULL
