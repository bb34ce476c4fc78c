-- Releases the events $1, and queues a delivery of each for every webhook that asks for it, in the order of the events.
WITH released AS (
    UPDATE webhook_events SET released_at = clock_timestamp() WHERE id = ANY($1) AND released_at IS NULL
    RETURNING id, seq, type, owner, upload_id
)
INSERT INTO webhook_deliveries (webhook_id, event_id, upload_id)
SELECT w.id, r.id, r.upload_id
FROM released r JOIN webhooks w ON (w.owner IS NULL OR w.owner = r.owner) AND (w.events = '{}' OR r.type = ANY(w.events))
ORDER BY r.seq
