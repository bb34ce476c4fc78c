-- Records an event in the transaction of its fact, if a webhook asks for it; it is released later. $1: id, $2: type, $3: owner,
-- $4: upload, $5: volume (null: that of the event $8, if it is not released yet), $6: body, $7: time.
INSERT INTO webhook_events (id, type, owner, upload_id, volume, body, occurred_at)
SELECT $1, $2::text, $3::text, $4, coalesce($5::text, (
    SELECT e.volume FROM webhook_events e WHERE e.id = $8 AND e.released_at IS NULL)), $6, $7
WHERE EXISTS (
    SELECT FROM webhooks w WHERE (w.owner IS NULL OR w.owner = $3) AND (w.events = '{}' OR $2 = ANY(w.events)))
ON CONFLICT DO NOTHING
