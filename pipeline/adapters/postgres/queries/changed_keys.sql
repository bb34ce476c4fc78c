SELECT * FROM api_keys WHERE $1::timestamptz IS NULL OR changed_at >= $1
