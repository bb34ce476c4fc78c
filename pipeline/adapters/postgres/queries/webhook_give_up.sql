-- Gives up up to $2 deliveries that have waited for $1 seconds, most of them for webhooks that are paused.
UPDATE webhook_deliveries
SET state = 'failed', finished_at = clock_timestamp(), last_error = coalesce(last_error, $3)
WHERE id IN (
    SELECT id FROM webhook_deliveries
    WHERE state = 'pending' AND created_at < clock_timestamp() - make_interval(secs => $1) AND due_at <= clock_timestamp()
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
)
