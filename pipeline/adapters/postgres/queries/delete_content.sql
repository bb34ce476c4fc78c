DELETE FROM contents WHERE id = $1
