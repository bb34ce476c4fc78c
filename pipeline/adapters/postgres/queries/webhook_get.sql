-- A webhook of the owner $2 (null: of any). `pending` is counted up to $3.
SELECT w.*, (SELECT count(*) FROM (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending' LIMIT $3) p)
    AS pending, CASE WHEN w.previous_until > clock_timestamp() THEN w.previous_until END AS overlap_until
FROM webhooks w
WHERE w.id = $1 AND ($2::text IS NULL OR w.owner = $2)
