-- What metrics show. Counts end at $1, so that a backlog does not make them slow.
SELECT
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'pending' LIMIT $1) p) AS pending,
    (SELECT count(*) FROM (SELECT FROM webhook_events WHERE released_at IS NULL LIMIT $1) h) AS held,
    (SELECT count(*) FROM webhooks WHERE paused_at IS NOT NULL) AS paused,
    (SELECT count(*) FROM webhooks WHERE paused_at IS NULL AND failures > 0) AS failing,
    (SELECT extract(epoch FROM clock_timestamp() - min(d.created_at))::float8
     FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
     WHERE d.state = 'pending' AND w.paused_at IS NULL) AS oldest_seconds
