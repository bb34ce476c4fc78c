-- Deliveries of the webhook $1, newest first, before the id $3, in the state $2 (null: in any).
SELECT d.*, e.type
FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
WHERE d.webhook_id = $1 AND ($2::text IS NULL OR d.state = $2) AND ($3::bigint IS NULL OR d.id < $3)
ORDER BY d.id DESC
LIMIT $4
