-- The first revocation counts; a repeated one returns the key as it is.
UPDATE api_keys
SET changed_at = CASE WHEN revoked_at IS NULL THEN clock_timestamp() ELSE changed_at END,
    revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE key_id = $1
RETURNING *
