-- Ends a replay without contents to come. Returns null, or, while runners have contents, the seconds until the first lease ends.
WITH held AS (
    SELECT min(due_at) AS due_at FROM replay_contents WHERE replay_id = $1 AND code IS NULL
), ended AS (
    UPDATE replays SET state = 'done', finished_at = clock_timestamp()
    WHERE id = $1 AND (SELECT due_at FROM held) IS NULL
)
SELECT extract(epoch FROM due_at - clock_timestamp())::double precision FROM held
