SELECT * FROM api_keys WHERE $1::text IS NULL OR owner = $1 ORDER BY created_at, key_id
