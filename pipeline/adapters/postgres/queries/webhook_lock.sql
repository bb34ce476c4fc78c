-- Until the transaction ends, no other one counts the webhooks of the owner $1 (null: of the installation). A statement of its own: the
-- next one sees what was committed while this one waited.
SELECT pg_advisory_xact_lock(hashtextextended('sluice webhooks of ' || coalesce($1::text, ''), 0))
