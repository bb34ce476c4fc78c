-- Claims up to $1 due deliveries for $2 seconds: of each webhook that is not in $3 up to $4, of one that keeps failing a single one;
-- of each upload the earliest one alone. Concurrent callers never receive the same delivery.
WITH heads AS (
    SELECT head.id
    FROM webhooks w CROSS JOIN LATERAL (
        SELECT c.id, c.due_at
        FROM webhook_deliveries c
        WHERE c.webhook_id = w.id AND c.state = 'pending' AND c.due_at <= clock_timestamp()
          AND NOT EXISTS (
              SELECT FROM webhook_deliveries e
              WHERE e.webhook_id = w.id AND e.upload_id = c.upload_id AND e.state = 'pending' AND e.id < c.id)
        ORDER BY c.due_at, c.id
        LIMIT CASE WHEN w.retry_at IS NULL THEN $4 ELSE 1 END
        FOR UPDATE SKIP LOCKED
    ) head
    WHERE w.paused_at IS NULL AND (w.retry_at IS NULL OR w.retry_at <= clock_timestamp()) AND w.id <> ALL($3::uuid[])
    ORDER BY head.due_at
    LIMIT $1
)
UPDATE webhook_deliveries d
SET due_at = clock_timestamp() + make_interval(secs => $2), attempts = d.attempts + 1
FROM heads, webhooks w, webhook_events e
WHERE d.id = heads.id AND w.id = d.webhook_id AND e.id = d.event_id
RETURNING d.id, d.webhook_id, d.event_id, d.attempts, e.type, e.body, w.url, w.secret,
    CASE WHEN w.previous_until > clock_timestamp() THEN w.previous_secret END AS previous_secret,
    extract(epoch FROM clock_timestamp() - d.created_at)::float8 AS age_seconds
