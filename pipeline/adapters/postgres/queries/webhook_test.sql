-- Records an event of its own ($2 to $6) for one webhook $1 and queues its delivery.
WITH event AS (
    INSERT INTO webhook_events (id, type, owner, upload_id, body, occurred_at, released_at)
    VALUES ($2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp())
    RETURNING id, type, upload_id
), made AS (
    INSERT INTO webhook_deliveries (webhook_id, event_id, upload_id) SELECT $1, id, upload_id FROM event RETURNING *
)
SELECT made.*, event.type FROM made, event
