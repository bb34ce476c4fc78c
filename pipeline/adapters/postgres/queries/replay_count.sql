-- How many contents match, and their bytes, counted up to $1 contents. replays.py fills in the conditions, from fixed texts.
SELECT count(*) AS contents, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM (SELECT c.size_bytes FROM contents c WHERE {conditions} LIMIT $1) AS matching
