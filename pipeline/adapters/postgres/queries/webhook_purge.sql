-- Deletes up to $2 events that are older than $1 seconds, with their deliveries, unless one of these is pending.
DELETE FROM webhook_events WHERE id IN (
    SELECT e.id FROM webhook_events e
    WHERE e.recorded_at < clock_timestamp() - make_interval(secs => $1)
      AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.event_id = e.id AND d.state = 'pending')
    ORDER BY e.recorded_at LIMIT $2
)
