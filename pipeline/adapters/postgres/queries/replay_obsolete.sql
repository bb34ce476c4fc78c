SELECT r.store, ARRAY(
    SELECT DISTINCT key FROM unnest(r.keys) AS key
    WHERE key IS DISTINCT FROM (SELECT c.thumbnail ->> 'key' FROM contents c WHERE c.id = r.content_id)) AS keys
FROM replay_contents r
WHERE r.replay_id = $1 AND r.content_id = $2 AND r.runs = $3 AND r.code IS NULL
