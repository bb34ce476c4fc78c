-- Writes columns of the content $1, if that changes one of them. replays.py fills in their names, which are fixed texts.
UPDATE contents SET {assignments} WHERE id = $1 AND ({differences}) RETURNING id
