-- The ids of up to $1 contents, chosen at random. It reads the primary key of every content, and no row.
SELECT id FROM contents ORDER BY random() LIMIT $1
