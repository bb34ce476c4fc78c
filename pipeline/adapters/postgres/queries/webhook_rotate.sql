-- Gives a webhook of the owner $2 (null: of any) the secret $3. The one before signs, too, for $4 seconds.
UPDATE webhooks SET
    secret = $3,
    previous_secret = CASE WHEN $4::float8 > 0 THEN secret END,
    previous_until = CASE WHEN $4 > 0 THEN clock_timestamp() + make_interval(secs => $4) END
WHERE id = $1 AND ($2::text IS NULL OR owner = $2)
RETURNING id
