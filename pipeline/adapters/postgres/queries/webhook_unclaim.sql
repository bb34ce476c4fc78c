-- Deliveries whose attempt was interrupted are due at once.
UPDATE webhook_deliveries SET due_at = clock_timestamp() WHERE id = ANY($1::bigint[]) AND state = 'pending'
