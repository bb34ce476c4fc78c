-- Changes a webhook of the owner $2 (null: of any): url, events, note, paused; null leaves it as it is. After a new URL or a
-- resumption its failures count from 0.
UPDATE webhooks SET
    url = coalesce($3, url),
    events = coalesce($4, events),
    note = coalesce($5, note),
    paused_at = CASE WHEN $6::boolean IS NULL THEN paused_at WHEN $6 THEN coalesce(paused_at, clock_timestamp()) END,
    pause_reason = CASE WHEN $6::boolean IS NULL THEN pause_reason WHEN $6 THEN coalesce(pause_reason, 'requested') END,
    failures = CASE WHEN $3 IS NULL AND $6 IS DISTINCT FROM false THEN failures ELSE 0 END,
    failing_since = CASE WHEN $3 IS NULL AND $6 IS DISTINCT FROM false THEN failing_since END,
    retry_at = CASE WHEN $3 IS NULL AND $6 IS DISTINCT FROM false THEN retry_at END
WHERE id = $1 AND ($2::text IS NULL OR owner = $2)
RETURNING id
