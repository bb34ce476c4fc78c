-- Records events of the type $2 that are not known, and queues a delivery of each for the webhook $1 alone, in their order.
-- $3: ids, $4: owners, $5: uploads, $6: bodies, $7: times.
WITH given AS (
    SELECT * FROM unnest($3::text[], $4::text[], $5::uuid[], $6::text[], $7::timestamptz[])
        WITH ORDINALITY AS g (id, owner, upload_id, body, occurred_at, position)
), added AS (
    INSERT INTO webhook_events (id, type, owner, upload_id, body, occurred_at, released_at)
    SELECT id, $2, owner, upload_id, body, occurred_at, clock_timestamp() FROM given ORDER BY position
    ON CONFLICT DO NOTHING
)
INSERT INTO webhook_deliveries (webhook_id, event_id, upload_id)
SELECT $1, id, upload_id FROM given ORDER BY position
