-- Records that an attempt of the delivery $1 failed, with status $2 and error $3. It is due again after $4 seconds; null: it has failed.
-- The webhook receives nothing for $5 seconds, and is paused for the reason $6 unless that is null.
WITH tried AS (
    UPDATE webhook_deliveries
    SET state = CASE WHEN $4::float8 IS NULL THEN 'failed' ELSE 'pending' END,
        due_at = clock_timestamp() + make_interval(secs => coalesce($4, 0)),
        finished_at = CASE WHEN $4 IS NULL THEN clock_timestamp() END,
        last_status = $2, last_error = $3
    WHERE id = $1 AND state = 'pending'
    RETURNING webhook_id
)
UPDATE webhooks w
SET retry_at = CASE WHEN $5::float8 > 0 THEN clock_timestamp() + make_interval(secs => $5) END,
    paused_at = CASE WHEN $6::text IS NULL THEN w.paused_at ELSE coalesce(w.paused_at, clock_timestamp()) END,
    pause_reason = coalesce(w.pause_reason, $6::text)
FROM tried
WHERE w.id = tried.webhook_id AND ($5::float8 > 0 OR $6::text IS NOT NULL)
