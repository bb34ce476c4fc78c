-- Records an event in the transaction of its fact, if a webhook asks for it; it is released later. $1: id, $2: type, $3: owner,
-- $4: upload, $5: volume (null: that of an event of this upload which is not released, if there is one), $6: body.
INSERT INTO webhook_events (id, type, owner, upload_id, volume, body, occurred_at)
SELECT $1, $2, $3::text, $4, coalesce($5, (
    SELECT volume FROM webhook_events WHERE id = $7 AND released_at IS NULL)), $6, clock_timestamp()
WHERE EXISTS (
    SELECT FROM webhooks w WHERE (w.owner IS NULL OR w.owner = $3) AND (w.events = '{}' OR $2 = ANY(w.events)))
ON CONFLICT DO NOTHING
