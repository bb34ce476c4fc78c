-- Adds a webhook, unless its owner ($2, null: the installation) has $7 of them. The caller holds the lock of webhook_lock.
INSERT INTO webhooks (id, owner, url, events, note, secret)
SELECT $1, $2::text, $3, $4, $5, $6
WHERE (SELECT count(*) FROM webhooks WHERE owner IS NOT DISTINCT FROM $2) < $7
RETURNING id
