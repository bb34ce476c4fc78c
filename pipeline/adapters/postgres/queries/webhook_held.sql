-- Events that are not released, oldest first: those of the volume $1, those of no volume, and those that nobody has released for
-- $2 seconds, because the workers of their volume do not run.
SELECT id FROM webhook_events
WHERE released_at IS NULL
  AND (volume IS NULL OR volume = $1 OR recorded_at < clock_timestamp() - make_interval(secs => $2))
ORDER BY seq
LIMIT $3
