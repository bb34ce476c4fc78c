-- Deletes the rows that were finished more than $1 seconds ago.
DELETE FROM leftovers WHERE done_at < clock_timestamp() - make_interval(secs => $1)
