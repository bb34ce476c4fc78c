INSERT INTO api_keys (key_id, owner, scopes, note, digest, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *
