-- Records that the delivery $1 succeeded with the status $2, and that its webhook works. The row of a webhook that works is written
-- once a minute.
WITH done AS (
    UPDATE webhook_deliveries
    SET state = 'delivered', finished_at = clock_timestamp(), last_status = $2, last_error = NULL
    WHERE id = $1 AND state = 'pending'
    RETURNING webhook_id
)
UPDATE webhooks w
SET failures = 0, failing_since = NULL, retry_at = NULL, last_error = NULL, last_success_at = clock_timestamp()
FROM done
WHERE w.id = done.webhook_id
  AND (w.failures > 0 OR w.last_success_at IS NULL OR w.last_success_at < clock_timestamp() - interval '1 minute')
