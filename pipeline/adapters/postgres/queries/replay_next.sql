-- The next content of a replay. replays.py fills in the conditions, from fixed texts. $1: 1.
SELECT c.id, c.created_at FROM contents c WHERE {conditions} ORDER BY c.created_at, c.id LIMIT $1
