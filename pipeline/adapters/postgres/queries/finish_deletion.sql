UPDATE leftovers SET done_at = clock_timestamp(), attempts = attempts + 1, last_code = NULL, last_error = NULL
WHERE content_id = $1 AND done_at IS NULL
