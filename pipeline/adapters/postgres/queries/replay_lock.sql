-- Every transaction that changes a replay or its contents begins here, so that none waits for another in a circle.
SELECT state, filters, created_at, cursor_at, cursor_id,
       extract(epoch FROM next_at - clock_timestamp())::double precision AS wait_seconds
FROM replays WHERE id = $1
FOR UPDATE
