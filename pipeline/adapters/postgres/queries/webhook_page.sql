-- Webhooks of the owner $1 (null: of every owner and the installation), newest first, from before ($2, $3). `pending` as in webhook_get.
SELECT w.*, (SELECT count(*) FROM (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending' LIMIT $5) p)
    AS pending, CASE WHEN w.previous_until > clock_timestamp() THEN w.previous_until END AS overlap_until
FROM webhooks w
WHERE ($1::text IS NULL OR w.owner = $1) AND ($2::timestamptz IS NULL OR (w.created_at, w.id) < ($2, $3::uuid))
ORDER BY w.created_at DESC, w.id DESC
LIMIT $4
