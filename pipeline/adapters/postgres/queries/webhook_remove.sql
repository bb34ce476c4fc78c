DELETE FROM webhooks WHERE id = $1 AND ($2::text IS NULL OR owner = $2) RETURNING id
