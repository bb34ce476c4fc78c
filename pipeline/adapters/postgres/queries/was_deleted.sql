SELECT EXISTS (SELECT 1 FROM leftovers WHERE content_id = $1)
