-- Queues up to $8 events for the webhook $1 again, oldest first. Filters (null or empty: none): $2 ids of deliveries, $3 the state of
-- an event's last delivery, $4 types, $5 upload, $6 since, $7 until. Events that are pending for it are left out, so two replays at
-- once queue an event twice at most. Returns how many were queued, and whether there are more.
WITH found AS (
    SELECT e.id, e.upload_id, e.seq
    FROM webhook_events e JOIN webhooks w ON w.id = $1
    WHERE e.released_at IS NOT NULL
      AND (e.type = 'webhook.test' OR w.owner IS NULL OR w.owner = e.owner)
      AND (e.type <> 'webhook.test' OR EXISTS (
          SELECT FROM webhook_deliveries t WHERE t.event_id = e.id AND t.webhook_id = $1))
      AND (w.events = '{}' OR e.type = ANY(w.events) OR EXISTS (
          SELECT FROM webhook_deliveries s WHERE s.event_id = e.id AND s.webhook_id = $1))
      AND ($2::bigint[] = '{}' OR EXISTS (
          SELECT FROM webhook_deliveries n WHERE n.event_id = e.id AND n.webhook_id = $1 AND n.id = ANY($2)))
      AND ($3::text IS NULL OR $3 = (
          SELECT l.state FROM webhook_deliveries l WHERE l.event_id = e.id AND l.webhook_id = $1 ORDER BY l.id DESC LIMIT 1))
      AND ($4::text[] = '{}' OR e.type = ANY($4))
      AND ($5::uuid IS NULL OR e.upload_id = $5)
      AND ($6::timestamptz IS NULL OR e.occurred_at >= $6)
      AND ($7::timestamptz IS NULL OR e.occurred_at < $7)
      AND NOT EXISTS (
          SELECT FROM webhook_deliveries p WHERE p.event_id = e.id AND p.webhook_id = $1 AND p.state = 'pending')
    ORDER BY e.seq
    LIMIT $8 + 1
), made AS (
    INSERT INTO webhook_deliveries (webhook_id, event_id, upload_id)
    SELECT $1, id, upload_id FROM (SELECT * FROM found ORDER BY seq LIMIT $8) f ORDER BY seq
    RETURNING id
)
SELECT (SELECT count(*) FROM made) AS queued, (SELECT count(*) FROM found) > $8 AS more
