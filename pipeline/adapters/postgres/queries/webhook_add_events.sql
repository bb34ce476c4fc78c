-- Records events that were copied from Redis, in their order, and queues a delivery of each for every webhook that asks for it.
-- Events without such a webhook are not kept; known ones change nothing. $1: ids, $2: types, $3: owners, $4: uploads, $5: bodies,
-- $6: times.
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[])
        WITH ORDINALITY AS g (id, type, owner, upload_id, body, occurred_at, position)
), added AS (
    INSERT INTO webhook_events (id, type, owner, upload_id, body, occurred_at, released_at)
    SELECT id, type, owner, upload_id, body, occurred_at, clock_timestamp()
    FROM given g
    WHERE EXISTS (
        SELECT FROM webhooks w WHERE (w.owner IS NULL OR w.owner = g.owner) AND (w.events = '{}' OR g.type = ANY(w.events)))
    ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO webhook_deliveries (webhook_id, event_id, upload_id)
SELECT w.id, g.id, g.upload_id
FROM added JOIN given g USING (id)
JOIN webhooks w ON (w.owner IS NULL OR w.owner = g.owner) AND (w.events = '{}' OR g.type = ANY(w.events))
ORDER BY g.position
