-- Counts a failed attempt of the webhook $1, with the error $2. Returns its consecutive failures, and for how long.
UPDATE webhooks
SET failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()), last_error = $2
WHERE id = $1
RETURNING failures, extract(epoch FROM clock_timestamp() - failing_since)::float8 AS failing_seconds
