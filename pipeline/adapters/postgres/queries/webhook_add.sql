-- Adds a webhook, unless its owner ($2, null: every owner) has $7 of them. The advisory lock makes concurrent callers count one
-- after the other.
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('sluice webhooks of ' || coalesce($2, ''), 0))
)
INSERT INTO webhooks (id, owner, url, events, note, secret)
SELECT $1, $2, $3, $4, $5, $6
FROM locked
WHERE (SELECT count(*) FROM webhooks WHERE owner IS NOT DISTINCT FROM $2) < $7
RETURNING *
