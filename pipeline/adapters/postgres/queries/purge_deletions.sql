-- $1: seconds since they were done.
DELETE FROM leftovers WHERE done_at < clock_timestamp() - make_interval(secs => $1)
