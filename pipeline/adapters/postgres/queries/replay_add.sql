INSERT INTO replays (id, stage, filters, matching, rate) VALUES ($1, $2, $3, $4, $5)
