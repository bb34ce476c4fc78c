-- A content was given to a runner. $2, $3: the new cursor; null: it stays.
UPDATE replays SET cursor_at = coalesce($2, cursor_at), cursor_id = coalesce($3, cursor_id),
                   next_at = greatest(next_at, clock_timestamp()) + coalesce(make_interval(secs => 1 / rate), '0')
WHERE id = $1
